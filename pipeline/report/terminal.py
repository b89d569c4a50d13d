"""A run on a terminal: its leaderboard, or any of its tables, methods down; no number is ever cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.report.archive import PAGE
from pipeline.report.contents import Contents, read_contents
from pipeline.report.controls import control_checks
from pipeline.report.grids import ARROWS, Cell, Grid, Row, number, short
from pipeline.report.judges import names_left_out
from pipeline.report.leaderboard import leaderboard
from pipeline.report.rows import columns_of, print_fitted
from pipeline.report.terminal_board import WITH_INTERVAL, flag_lines, flagged_alone, terminal_board

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDTH = 100  # columns of a summary
MOST_METHODS = 12  # in a summary, next to the controls
BEST, CLOSE, FLAGGED = "*", "≈", "⚑"
LEGEND = f"{BEST} best, {CLOSE} not distinguished from it by a test, {FLAGGED} flagged; a–b: 95 % interval."
PADDING = (0, 1, 0, 0)


# Tables


def print_grid(grid: Grid, console: Console) -> None:
    """Print a grid with its methods down, in as many tables as its rows need."""
    for table in turned_tables(grid, console):
        print_fitted(table, console, wide=True)


def turned_tables(grid: Grid, console: Console) -> list[Table]:
    """A grid with its methods down and its rows across, in as many tables as the width needs.

    Intervals are with means and with scores of whole methods; the page has the intervals of single attributes.
    """
    parts: list[list[Row]] = [[]]
    for row in grid.rows:
        if parts[-1] and columns_of(_turned(grid, [*parts[-1], row]), console).maximum > console.width:
            parts.append([])
        parts[-1].append(row)
    tables = [_turned(grid, part) for part in parts]
    for table in tables[1:]:
        table.title = None
    _noted(tables[-1], grid)
    return tables


def _turned(grid: Grid, rows: Sequence[Row]) -> Table:
    from rich.text import Text

    table = _empty(rows)
    networks = grid.network.split(", ")
    judged = "" if len(networks) > 1 or networks == ["none"] else f", judged by {short(networks[0], grid.domain)}"
    table.title, table.title_justify = Text(f"{grid.title} ({grid.domain}{judged})", style="bold"), "left"
    marks = _numbered(grid)
    for place, control in _places(grid, table):
        cells = [
            _text(cell, row, control=control, flag=marks.get(cell.flag, "") if cell else "", interval=whole)
            for row, cell, whole in ((row, row.cells[place], row.mean or not grid.by_attribute) for row in rows)
        ]
        table.add_row(_method(grid.methods[place], control=control), *cells)
    return table


def _empty(rows: Sequence[Row]) -> Table:
    """A table with a column for each row of a grid; no cell of it wraps."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=PADDING)
    table.add_column("method", no_wrap=True)
    for row in rows:
        table.add_column(_heading(row), justify="right", no_wrap=True)
    return table


def _heading(row: Row) -> Text:
    """The heading of a column, its last word on a line of its own."""
    from rich.text import Text

    words, arrow = row.name.split(" "), f" {ARROWS[row.better]}" if row.better in ARROWS else ""
    lines = [" ".join(words[:-1]), words[-1] + arrow]
    return Text("\n".join(line for line in lines if line), style="bold" if row.mean else "")


def _places(grid: Grid, table: Table, most: int | None = None) -> Iterator[tuple[int, bool]]:
    """The methods' places and whether each is a control: at most so many competitors, then, apart, the controls."""
    for control in (False, True):
        places = [place for place, method in enumerate(grid.methods) if (method in grid.controls) is control]
        yield from ((place, control) for place in (places if control else places[:most]))
        if places and not control:
            table.add_section()


def _method(name: str, *, control: bool) -> Text:
    from rich.text import Text

    return Text(name, style="italic dim" if control else "")


def _text(cell: Cell | None, row: Row, *, control: bool, flag: str = "", interval: bool = False) -> Text:
    """A score with its mark: the best, one that no test tells from it, or a flag."""
    from rich.text import Text

    if cell is None:
        return Text("–", style="dim")
    mark = BEST if cell.best else flag or (CLOSE if cell.close else " ")
    style = "bold green" if cell.best else "yellow" if flag else "italic dim" if control else ""
    text = Text(number(cell.value, row.decimals) + mark, style=style)
    if interval and cell.low is not None and cell.high is not None:
        text.append(f" {number(cell.low, row.decimals)}–{number(cell.high, row.decimals)}", style="dim")
    return text


def _numbered(grid: Grid) -> dict[str, str]:
    """Flag -> its mark in the table; none for a flag that every score has."""
    return {} if grid.common_flag else {flag: f"{FLAGGED}{n}" for n, flag in enumerate(grid.flags, 1)}


def _noted(table: Table, grid: Grid) -> None:
    from rich.text import Text

    notes = [f"{mark} {flag}" for flag, mark in _numbered(grid).items()]
    notes += [f"{FLAGGED} all: {grid.common_flag}"] if grid.common_flag else []
    if notes:
        table.caption, table.caption_justify = Text("\n".join(notes), style="yellow"), "left"


# The leaderboard


def leaderboard_table(grid: Grid, *, intervals: bool = True, most: int | None = None) -> Table:
    """The leaderboard with its methods down, controls apart; of more than `most` methods the first of them."""
    table = _empty(grid.rows)
    flagged = [flagged_alone(row) for row in grid.rows]
    for place, control in _places(grid, table, most):
        cells = []
        for row, alone in zip(grid.rows, flagged, strict=True):
            shown = intervals and row.metric in WITH_INTERVAL
            flag = FLAGGED if alone[place] else ""
            cells.append(_text(row.cells[place], row, control=control, flag=flag, interval=shown))
        table.add_row(_method(grid.methods[place], control=control), *cells)
    return table


def print_leaderboard(grid: Grid, console: Console, most: int | None = None) -> None:
    """Print the leaderboard, of more than `most` methods the first, what its marks mean and why scores have them."""
    from rich.text import Text

    table = leaderboard_table(grid, most=most)
    if columns_of(table, console).maximum > console.width:
        table = leaderboard_table(grid, intervals=False, most=most)
    print_fitted(table, console, wide=True)
    hidden = 0 if most is None else len(grid.methods) - len(grid.controls) - most
    if hidden > 0:
        console.print(Text(f"{hidden} more methods: latentbench report --table {grid.key}"))
    console.print(Text(f"{grid.note} {LEGEND}"))
    for line in flag_lines(grid):
        console.print(Text(f"{FLAGGED} {line}", style="yellow"))


# A whole run


def print_summary(folder: Path, console: Console | None = None) -> None:
    """Print a published run: sizes, the leaderboard, what is flagged and why, the controls, the page.

    At most `WIDTH` columns, so that a terminal and a file get the same text. Every other table is printed by name
    (`pipeline.report.named_tables`), and shown on the page.
    """
    from rich.console import Console

    console = console or Console()
    before = console.width
    console.width = min(before, WIDTH)
    try:
        _print_contents(read_contents(folder), console)
    finally:
        console.width = before
    if (folder / PAGE).is_file():  # not in a run that was packed
        console.print(f"Page: {folder / PAGE}", soft_wrap=True, markup=False, highlight=False)


def _print_contents(contents: Contents, console: Console) -> None:
    from rich.text import Text

    _print_sizes(contents, console)
    board = leaderboard(contents)
    if board is not None:
        print_leaderboard(terminal_board(board), console, MOST_METHODS)
    if names := names_left_out(contents.judges):
        console.print(Text(f"Not in leakage, since scorer B hardly sees them vary: {', '.join(names)}."))
    for check in control_checks(contents.scores):
        verdict = {True: "holds", False: "DOES NOT HOLD", None: "is not testable"}[check.holds]
        style = "bold red" if check.holds is False else ""
        console.print(Text(f"Control {check.control} {verdict}: {check.found}", style=style))
    console.print(Text("Every table: latentbench report --table"))


def _print_sizes(contents: Contents, console: Console) -> None:
    from rich.text import Text

    run = contents.run
    console.print(Text(f"\nRun {run.run_id}: domain {run.domain}, profile {run.profile}", style="bold"))
    if run.smaller:
        console.print(Text(f"Smaller than the published protocol: {'; '.join(run.smaller)}.", style="yellow"))
    elif run.warning:
        console.print(Text(run.warning, style="yellow"))
    if run.photographs:
        console.print(Text(run.photographs, style="yellow"))
    if contents.stand_in_warning:
        console.print(Text(contents.stand_in_warning, style="bold yellow"))
