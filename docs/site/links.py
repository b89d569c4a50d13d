"""External links are listed, in external-links.txt of the site: none is visited. Sphinx checks the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LIST = "external-links.txt"


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx to collect the links of every page and to write them in the end."""
    app.connect("doctree-resolved", collect)
    app.connect("build-finished", write)
    app.connect("doctree-read", drop_folders)
    return {"parallel_read_safe": True}


def drop_folders(app: Any, tree: Any) -> None:
    """Leave the text alone of a link to a folder of the repository, which the site does not show."""
    from sphinx.addnodes import pending_xref

    for node in list(tree.findall(pending_xref)):
        path = Path(app.srcdir, node.get("refdoc", "")).parent / node.get("reftarget", "")
        if node.get("reftype") == "myst" and path.is_dir():
            node.replace_self(node.children)


def collect(app: Any, tree: Any, page: str) -> None:
    """Keep the addresses of a page."""
    from docutils.nodes import reference

    found = {node["refuri"] for node in tree.findall(reference) if "://" in node.get("refuri", "")}
    app.latentbench_links = getattr(app, "latentbench_links", {}) | {page: found}


def write(app: Any, error: Exception | None) -> None:
    """Write a line for each address: the address and the pages that link to it."""
    if error is None:
        pages: dict[str, list[str]] = {}
        for page, addresses in app.latentbench_links.items():
            for address in addresses:
                pages.setdefault(address, []).append(page)
        lines = [f"{address}\t{', '.join(sorted(pages[address]))}\n" for address in sorted(pages)]
        (Path(app.outdir) / LIST).write_text("".join(lines), encoding="utf-8")
