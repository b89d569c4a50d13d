"""The contents of the site: every heading of docs/index.md is a part, every page that it links to is in that part."""

from __future__ import annotations

import posixpath
import re
from typing import Any

INDEX = "docs/index"


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx to add the contents to the index."""
    app.connect("source-read", add_contents)
    return {"parallel_read_safe": True}


def add_contents(app: Any, page: str, source: list[str]) -> None:
    """Append to the index a hidden table of contents for each of its headings."""
    if page == INDEX:
        source[0] += "".join(toctree(title, pages) for title, pages in parts(source[0]).items())


def parts(text: str) -> dict[str, list[tuple[str, str]]]:
    """Heading -> title and path of its pages, from the root of the repository and without .md.

    >>> parts("# Pages\\n## Guides\\n- [a](howto/a.md): one\\n- [c](../README.md)\\n- [b](x.py)\\n")
    {'Guides': [('a', 'docs/howto/a'), ('c', 'README')]}
    """
    found = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, rest = section.partition("\n")
        links = re.findall(r"^- \[([^\]]+)\]\(([^)#\s]+)\.md\)", rest, flags=re.M)
        found[title.strip()] = [(name, posixpath.normpath(posixpath.join("docs", link))) for name, link in links]
    return {title: pages for title, pages in found.items() if pages}


def toctree(title: str, pages: list[tuple[str, str]]) -> str:
    """A hidden toctree in MyST."""
    return "\n".join(
        [
            "",
            "```{toctree}",
            ":hidden:",
            f":caption: {title}",
            "",
            *(f"{name} </{page}>" for name, page in pages),
            "```",
            "",
        ]
    )
