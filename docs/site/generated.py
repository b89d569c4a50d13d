"""The parts of pages that the code writes: a comment `<!-- generated: NAME -->` becomes Markdown from the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from docs.site.python_page import docstring, python
from docs.site.settings_page import settings

COMMANDS = re.compile(r"\*\*Commands\*\*:\n\n(\* .*\n)+")
PAGE = re.compile(r"(?<![\w/`\[])(?<!\]\()docs/([\w/-]+\.md)")
MARK = re.compile(r"<!-- generated: ([a-z]+) -->")


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx to fill in the marks."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True}


def fill(app: Any, page: str, source: list[str]) -> None:
    """Put the Markdown of each mark in its place. Raises KeyError for a name that is not known."""
    source[0] = MARK.sub(lambda mark: with_links(WRITERS[mark[1]]()), source[0])


def with_links(text: str) -> str:
    """The names of pages, as help and comments have them, as links from a page of the reference.

    >>> with_links("Disk and memory: docs/explanation/scale.md.")
    'Disk and memory: [docs/explanation/scale.md](../explanation/scale.md).'
    """
    return PAGE.sub(r"[docs/\1](../\1)", text)


def commands() -> str:
    """Every verb of the command line with its arguments and options, as typer writes them."""
    import typer
    from typer.cli import get_docs_for_click

    from pipeline.settings.paths import documents
    from tasks.cli import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="latentbench"), name="latentbench")
    text = text.partition("\n")[2].replace(str(documents()), "docs")
    return COMMANDS.sub(lambda block: whole_lines(command, text[: block.start()]), text)


def whole_lines(app: Any, before: str) -> str:
    """The list of the verbs of a group, each with its whole first line, where typer's ends after 45 letters.

    before: the page up to the list, whose last heading names the group.
    """
    import click

    path = (re.findall(r"^#+ `latentbench ([^`]+)`$", before, flags=re.M) or [""])[-1].split()
    context = click.Context(app)
    for name in path:
        app = app.get_command(context, name)
    names = app.list_commands(context)
    verbs = {" ".join(("latentbench", *path, name)): app.get_command(context, name) for name in names}
    lines = [(name, (inner.help or "").partition("\n")[0]) for name, inner in verbs.items()]
    listed = (f"* [`{name}`](#{name.replace(' ', '-')}): {line}\n" for name, line in lines)
    return "".join(("**Commands**:\n\n", *listed))


def methods() -> str:
    """Every registered method: facts and docstring."""
    from pipeline.methods import registry

    parts = []
    for name in registry.BUILT_IN:
        method = registry.get(name)
        paper = f"[{method.paper.title}]({method.paper.url})" if method.paper.url else method.paper.title
        facts = [
            ("paper", f"{paper}, {method.paper.venue}".strip(", ")),
            ("learns from", method.supervision),
            ("edits in", method.space),
            ("unit of strength", method.unit),
            ("version", method.version),
        ]
        lines = [f"## `{name}`", "", *(f"- {fact}: {value}" for fact, value in facts), "", docstring(method), ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def metrics() -> str:
    """Every registered metric, by protocol."""
    from pipeline.metrics import base
    from pipeline.metrics.protocols import PROTOCOLS

    parts = []
    for protocol in PROTOCOLS:
        rows = [
            {
                "metric": f"`{metric.name}`",
                "better": metric.better,
                "unit": metric.unit,
                "judged by": ", ".join(metric.roles) or base.NO_NETWORK,
                "meaning": metric.meaning,
                "paper": metric.paper,
            }
            for metric in map(base.get, protocol.metrics)
        ]
        asks = f"Asks {protocol.asks}. Source: {protocol.source}. Sizes: " + ", ".join(f"`{s}`" for s in protocol.sizes)
        parts += [f"## `{protocol.name}`", "", f"{asks}.", "", table(rows), ""]
    return "\n".join(parts)


def departures() -> str:
    """What each method's docstring says of its departures from the authors' code."""
    from benchmarks.results_training import departures_of
    from pipeline.methods import registry

    listed = {name: departures_of(name) for name in registry.BUILT_IN}
    return "\n".join(f"### `{name}`\n\n" + "\n".join(lines) + "\n" for name, lines in listed.items() if lines)


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; what a cell means stays as it is written.

    >>> print(table([{"a": 1, "b": "x | y"}]))
    | a | b |
    |---|---|
    | 1 | x \\| y |
    """
    rows = list(rows)
    cells = [list(rows[0]), *([str(value).replace("|", "\\|") for value in row.values()] for row in rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{'---|' * len(cells[0])}", *lines[1:]])


WRITERS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "departures": departures,
    "methods": methods,
    "metrics": metrics,
    "python": python,
    "settings": settings,
}
