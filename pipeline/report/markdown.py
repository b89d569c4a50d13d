"""A published run as Markdown, for notes and documentation: the tables that are read first, methods down.

Everything is on the page too, with pictures, intervals of single attributes and all that this leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.report.contents import Contents
from pipeline.report.grids import ARROWS, Cell, Grid, Row, number, short
from pipeline.report.sections import PageSection, sections


def markdown(contents: Contents) -> str:
    """The whole document; tables of GitHub's dialect."""
    run = contents.run
    lines = [
        f"# Run {run.run_id}",
        "",
        f"Domain {run.domain}, profile {run.profile}: {run.n_latents:,} labelled latents, {run.n_faces} faces, "
        f"{run.n_steps} steps, {run.edits_per_method:,} edits per method. Commit {run.commit[:12] or 'unknown'}.",
        *([run.warning] if run.warning else []),
        "Bold: best of the column, controls and flagged scores apart. In brackets: 95 % interval. ⚑: flagged.",
        "",
    ]
    for section in sorted(sections(), key=_order):
        lines += [*_tables(section, contents), *_lists(section, contents)]
    return "\n".join(lines).rstrip() + "\n"


def _order(section: PageSection) -> int:
    return section.order if section.markdown_order is None else section.markdown_order


def _tables(section: PageSection, contents: Contents) -> Iterator[str]:
    """A section's tables of scores that Markdown shows."""
    grids = [grid for grid in section.tables(contents) if grid.markdown]
    if grids:
        yield from (f"## {section.markdown_title or section.title}", "")
        if remark := section.remark(contents):
            yield from (remark, "")
        for grid in grids:
            yield from (*_grid(grid), "")


def _lists(section: PageSection, contents: Contents) -> Iterator[str]:
    """A section's tables of texts."""
    for table in section.lists(contents):
        if table.rows:
            yield from (f"## {table.title}", "", *_table(table.head, table.rows), "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    texts = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in texts]


def _grid(grid: Grid) -> Iterator[str]:
    judged = "" if grid.network == "none" else f", judged by {short(grid.network, grid.domain)}"
    yield f"**{grid.title}** ({grid.domain}{judged})"
    yield ""
    shown = [row for row in grid.rows if any(cell is not None for cell in row.cells)]
    head = ["method", *(f"{row.name} {ARROWS.get(row.better, '')}".strip() for row in shown)]
    whole = not grid.by_attribute
    body = []
    for place, method in enumerate(grid.methods):
        name = f"*{method}*" if method in grid.controls else method
        cells = [_cell(row.cells[place], row, interval=whole or row.mean, common=grid.common_flag) for row in shown]
        body.append([name, *cells])
    yield from _table(head, body)
    if grid.common_flag:
        yield f"\n⚑ all: {grid.common_flag}"
    elif grid.flags:
        yield "\n" + "; ".join(f"⚑{number} {flag}" for number, flag in enumerate(grid.flags, 1))


def _cell(cell: Cell | None, row: Row, *, interval: bool, common: str) -> str:
    if cell is None:
        return "–"
    text = number(cell.value, row.decimals)
    if cell.best:
        text = f"**{text}**"
    if cell.flag and not common:
        text += " ⚑"
    if interval and cell.low is not None and cell.high is not None:
        text += f" [{number(cell.low, row.decimals)}, {number(cell.high, row.decimals)}]"
    return text
