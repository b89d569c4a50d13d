"""The leaderboard for a terminal: the leaderboard's scores in fewer digits, and why they are flagged."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from pipeline.report import terminal_board
from pipeline.report.contents import contents_of
from pipeline.report.grids import METRICS, Cell, Grid, Row
from pipeline.report.leaderboard import Leaderboard, leaderboard
from tests.builders import random_run


@cache
def board() -> Leaderboard:
    found = leaderboard(contents_of(random_run.whole()))
    assert found is not None
    return found


def flagged(*rows: tuple[str, tuple[str | None, ...]]) -> Grid:
    """A table of two methods with these flags by row; None: no score."""
    made = tuple(
        Row(name, tuple(None if flag is None else Cell(0.5, None, None, flag, 4, 8) for flag in flags), "1", "lower", 2)
        for name, flags in rows
    )
    return replace(board().grid, methods=("l2l", "llf"), rows=made, rows_are=METRICS)


def test_its_methods_and_scores_are_the_leaderboard_s() -> None:
    grid = terminal_board.terminal_board(board())
    assert grid.methods == tuple(board().grid.methods[place] for place in board().order)
    assert len(grid.rows) == len(board().columns)
    for row, column in zip(grid.rows, board().columns, strict=True):
        factor = 1000.0 if row.metric == "seconds_per_edit" else 1.0
        values = [None if cell is None else cell.value for cell in row.cells]
        of_board = [column.row.cells[place] for place in board().order]
        assert values == [None if cell is None else pytest.approx(factor * cell.value) for cell in of_board]


def test_its_note_says_by_which_edits_its_columns_are_scored() -> None:
    note = terminal_board.terminal_board(board()).note
    assert note.startswith("Identity distance, leakage, not reached: at a change of 1")


def test_a_reason_against_a_whole_column_names_it_and_one_against_some_methods_names_these() -> None:
    grid = flagged(("identity", ("few", "few; easy")), ("leakage", ("few", None)), ("ms", ("", "")))
    assert terminal_board.flags(grid) == [
        terminal_board.Flag("few", ("identity", "leakage"), ()),
        terminal_board.Flag("easy", ("identity",), ("llf",)),
    ]
    assert terminal_board.flag_lines(grid) == ["few: all but ms", "easy: llf"]


def test_a_score_is_flagged_alone_where_a_reason_is_not_against_the_whole_row() -> None:
    row = flagged(("identity", ("few", "few; easy"))).rows[0]
    assert terminal_board.flagged_alone(row) == [False, True]
    assert terminal_board.flagged_alone(replace(row, cells=(None, None))) == [False, False]
