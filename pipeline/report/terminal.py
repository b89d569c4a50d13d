"""The tables of a run on a terminal: methods across, or down where they are too many; no number is ever cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.report.archive import PAGE
from pipeline.report.contents import read_contents
from pipeline.report.controls import control_checks
from pipeline.report.grids import ARROWS, Cell, Grid, Row, number
from pipeline.report.judges import attributes_left_out
from pipeline.report.rows import columns_of, print_fitted
from pipeline.report.sections import sections

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def _text(cell: Cell | None, row: Row, *, control: bool, flags: Sequence[str], interval: bool) -> Text:
    from rich.text import Text

    if cell is None:
        return Text("–", style="dim")
    style = "bold green" if cell.best else "italic dim" if control else ""
    text = Text(number(cell.value, row.decimals), style=style)
    if cell.flag in flags:
        text.append(f" ⚑{flags.index(cell.flag) + 1}", style="yellow")
    if interval and cell.low is not None and cell.high is not None:
        text.append(f"\n[{number(cell.low, row.decimals)}, {number(cell.high, row.decimals)}]", style="dim")
    return text


def text_table(grid: Grid, *, intervals: bool = True) -> Table:
    """A grid for the terminal: the best of each row bold, controls in italics, flags as notes.

    `intervals` stand under means and under scores of whole methods; the page has the intervals of single attributes.
    """
    from rich.text import Text

    table = _empty(grid)
    table.add_column(grid.corner, no_wrap=True)
    for method in grid.methods:
        heading = Text(f"{method}\n(control)" if method in grid.controls else method)
        table.add_column(heading, justify="right", no_wrap=True)
    whole = grid.by_metric
    flags = [] if grid.common_flag else grid.flags
    for row in grid.rows:
        cells = (
            _text(cell, row, control=method in grid.controls, flags=flags, interval=intervals and (whole or row.mean))
            for cell, method in zip(row.cells, grid.methods, strict=True)
        )
        if row.mean:
            table.add_section()
        table.add_row(_heading(row), *cells)
    return _noted(table, grid)


def turned_tables(grid: Grid, console: Console) -> list[Table]:
    """A grid with its methods down and its rows across, without intervals, in as many tables as the width needs."""
    if not grid.rows:
        return [text_table(grid, intervals=False)]
    parts: list[list[Row]] = [[]]
    for row in grid.rows:
        if parts[-1] and columns_of(_turned(grid, [*parts[-1], row]), console).minimum > console.width:
            parts.append([])
        parts[-1].append(row)
    tables = [_turned(grid, part) for part in parts]
    for table in tables[1:]:
        table.title = None
    _noted(tables[-1], grid)
    return tables


def _turned(grid: Grid, rows: Sequence[Row]) -> Table:
    from rich.text import Text

    table = _empty(grid)
    table.add_column("method", no_wrap=True)
    for row in rows:
        table.add_column(_heading(row), justify="right")
    flags = [] if grid.common_flag else grid.flags
    for place, method in enumerate(grid.methods):
        control = method in grid.controls
        cells = (_text(row.cells[place], row, control=control, flags=flags, interval=False) for row in rows)
        table.add_row(Text(method, style="italic dim" if control else ""), *cells)
    return table


def _empty(grid: Grid) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    judged = "" if grid.network == "none" else f", judged by {grid.network}"
    title = Text(f"{grid.title} ({grid.domain}{judged})", style="bold")
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _heading(row: Row) -> Text:
    from rich.text import Text

    return Text(f"{row.name} {ARROWS.get(row.better, '')}".strip(), style="bold" if row.mean else "")


def _noted(table: Table, grid: Grid) -> Table:
    from rich.text import Text

    flags = [] if grid.common_flag else grid.flags
    notes = [f"⚑ all: {grid.common_flag}"] if grid.common_flag else [f"⚑{n} {flag}" for n, flag in enumerate(flags, 1)]
    if notes:
        table.caption, table.caption_justify = Text("\n".join(notes), style="yellow"), "left"
    return table


def print_grid(grid: Grid, console: Console) -> None:
    """Print a grid: with intervals where they fit, without where those do not, else with its methods down."""
    for intervals in (True, False):
        table = text_table(grid, intervals=intervals)
        if columns_of(table, console).maximum <= console.width:
            console.print(table)
            return
    for table in turned_tables(grid, console):
        print_fitted(table, console)


def print_summary(folder: Path, console: Console | None = None) -> None:
    """Print a published run to the terminal: what was run, the paper's tables, how far the edits went, the page.

    Only tables with `Grid.terminal` are printed; the page has all.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    contents = read_contents(folder)
    run = contents.run
    console.print(Text(f"\nRun {run.run_id}: domain {run.domain}, profile {run.profile}", style="bold"))
    if run.warning:
        console.print(Text(run.warning, style="yellow"))
    if run.photographs:
        console.print(Text(run.photographs, style="yellow"))
    if contents.stand_in_warning:
        console.print(Text(contents.stand_in_warning, style="bold yellow"))
    for grid in (grid for section in sections() for grid in section.tables(contents) if grid.terminal):
        console.print()
        print_grid(grid, console)
    if unusable := attributes_left_out(contents.judges):
        console.print(Text(f"\n{unusable}"))
    for check in control_checks(contents.scores):
        verdict = {True: "holds", False: "DOES NOT HOLD", None: "not testable"}[check.holds]
        style = "bold red" if check.holds is False else ""
        console.print(Text(f"\nControl {check.control}: {check.found} ({verdict})", style=style), end="")
    console.print(Text("\nBold: best of the row, controls and flagged scores apart. In brackets: 95 % interval."))
    if (folder / PAGE).is_file():  # not in a run that was packed
        console.print(Text(f"Page: {folder / PAGE}"), soft_wrap=True)
