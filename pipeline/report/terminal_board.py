"""The leaderboard as a terminal of 100 columns shows it: few digits, short headings, and a line for each flag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.report.grids import CHANGE, IDENTITY, Cell, Grid, Row, decimals_for
from pipeline.report.leaderboard import DEPENDENCY, UNREACHED, Leaderboard, ScoreColumn

MILLISECONDS = 1000.0
SECONDS = "seconds_per_edit"
HEADINGS = {
    IDENTITY: "identity distance",
    DEPENDENCY: "leakage",
    UNREACHED: "not reached",
    CHANGE: "attribute change",
    "fid_same_codes": "FID",
    SECONDS: "ms per edit",
}
WITH_INTERVAL = (IDENTITY, DEPENDENCY)


@dataclass(frozen=True)
class Flag:
    """A reason against scores of the leaderboard: `columns` are named, and `methods` where it is not against all."""

    reason: str
    columns: tuple[str, ...]
    methods: tuple[str, ...]


def terminal_board(board: Leaderboard) -> Grid:
    """The leaderboard as a table: methods in its order, a row per column, one digit less, seconds as milliseconds."""
    rows = [_row(column.row, board.order) for column in board.columns]
    methods = tuple(board.grid.methods[place] for place in board.order)
    return replace(board.grid, rows=tuple(rows), methods=methods, note=_note(board.columns))


def _row(row: Row, order: Sequence[int]) -> Row:
    cells = tuple(row.cells[place] for place in order)
    if row.metric == SECONDS:
        cells = tuple(None if cell is None else _times(cell, MILLISECONDS) for cell in cells)
    decimals = max(0, decimals_for([cell.value for cell in cells if cell is not None]) - 1)
    return replace(row, name=HEADINGS.get(row.metric, row.name), cells=cells, decimals=decimals)


def _times(cell: Cell, factor: float) -> Cell:
    low, high = (None if end is None else end * factor for end in (cell.low, cell.high))
    return replace(cell, value=cell.value * factor, low=low, high=high)


def _note(columns: Iterable[ScoreColumn]) -> str:
    """By which edits the columns are scored, in a sentence for each kind of edits; seconds say it themselves."""
    by_edits: dict[str, list[str]] = {}
    for column in (column for column in columns if column.row.metric != SECONDS):
        by_edits.setdefault(column.where, []).append(HEADINGS.get(column.row.metric, column.row.name))
    return " ".join(f"{_listed(names)}: {where}." for where, names in by_edits.items())


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text[0].upper() + text[1:]


def flags(grid: Grid) -> list[Flag]:
    """Every reason against scores of the table once, with the columns and methods that it is against."""
    against: dict[str, list[tuple[str, str]]] = {}
    for row in grid.rows:
        for method, cell in zip(grid.methods, row.cells, strict=True):
            for reason in cell.flag.split("; ") if cell is not None and cell.flag else ():
                against.setdefault(reason, []).append((row.name, method))
    scored = {row.name: sum(cell is not None for cell in row.cells) for row in grid.rows}
    found = []
    for reason, cells in against.items():
        columns = tuple(dict.fromkeys(name for name, _ in cells))
        everywhere = len(cells) == sum(scored[name] for name in columns)
        named = {method for _, method in cells}
        found.append(Flag(reason, columns, () if everywhere else tuple(n for n in grid.methods if n in named)))
    return found


def flag_lines(grid: Grid) -> list[str]:
    """Why scores of the leaderboard are flagged, a line for each reason."""
    lines = []
    for flag in flags(grid):
        others = [row.name for row in grid.rows if row.name not in flag.columns]
        columns = "all scores" if not others else f"all but {others[0]}" if not others[1:] else ", ".join(flag.columns)
        lines.append(f"{flag.reason}: {', '.join(flag.methods) or columns}")
    return lines


def flagged_alone(row: Row) -> list[bool]:
    """Per cell of a row, whether a reason is against it that is not against every score of the row."""
    reasons = [None if cell is None else set(cell.flag.split("; ")) - {""} for cell in row.cells]
    known = [one for one in reasons if one is not None]
    shared = set.intersection(*known) if known else set()
    return [bool(one and one - shared) for one in reasons]
