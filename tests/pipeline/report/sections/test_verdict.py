"""The verdict: who is named first, who may be first as well, and what is said against the run."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from pipeline.report.contents import Contents, contents_of
from pipeline.report.leaderboard import Leaderboard, RankInterval, ScoreColumn, leaderboard
from pipeline.report.sections.verdict import SECTION, answers, doubts, shared_reasons
from pipeline.tables.schemas import SCORES
from tests.builders import random_run


@pytest.fixture(scope="module")
def contents() -> Contents:
    return contents_of(random_run.whole())


@pytest.fixture(scope="module")
def board(contents: Contents) -> Leaderboard:
    found = leaderboard(contents)
    assert found is not None
    return found


def ranked(board: Leaderboard, **ranks: tuple[int, int, int]) -> Leaderboard:
    """The leaderboard whose first column has these ranks with their intervals, and no other any."""
    places = [RankInterval(*ranks[name], None) if name in ranks else None for name in board.grid.methods]
    first: ScoreColumn = replace(board.columns[0], standings=tuple(places))
    return replace(board, columns=(first, *(replace(column, standings=()) for column in board.columns[1:])))


def test_one_method_that_alone_can_be_first_is_sure(board: Leaderboard) -> None:
    (answer,) = answers(ranked(board, l2l=(1, 1, 1), interfacegan=(2, 2, 2)))
    assert [name for name, _ in answer.first] == ["l2l"] and answer.sure and answer.others == ()
    assert answer.question == "Keeps the person best"


def test_a_method_whose_interval_includes_rank_1_may_be_first_as_well(board: Leaderboard) -> None:
    (answer,) = answers(ranked(board, l2l=(1, 1, 2), interfacegan=(2, 1, 2)))
    assert [name for name, _ in answer.first] == ["l2l"] and not answer.sure and answer.others == ("interfacegan",)


def test_equal_methods_are_both_named_and_neither_is_sure(board: Leaderboard) -> None:
    (answer,) = answers(ranked(board, l2l=(1, 1, 1), interfacegan=(1, 1, 1)))
    assert {name for name, _ in answer.first} == {"l2l", "interfacegan"} and not answer.sure


def test_a_control_is_never_named(board: Leaderboard) -> None:
    (answer,) = answers(ranked(board, noop=(1, 1, 1), l2l=(1, 1, 1), interfacegan=(2, 1, 2)))
    assert [name for name, _ in answer.first] == ["l2l"]


def test_few_faces_are_said_once_for_all(contents: Contents, board: Leaderboard) -> None:
    rows = board.grid.rows
    few = tuple(
        replace(row, cells=tuple(cell and replace(cell, flag="fewer than 10 faces") for cell in row.cells))
        for row in rows
    )
    flagged = replace(board, grid=replace(board.grid, rows=few))
    assert shared_reasons(flagged) == ["fewer than 10 faces"]
    assert any("fewer than 10 faces" in line for line in doubts(contents, flagged))
    half = replace(flagged, grid=replace(board.grid, rows=(few[0], *rows[1:])))
    assert shared_reasons(half) == []


def test_a_broken_control_is_said(board: Leaderboard) -> None:
    tables = random_run.whole()
    scores = tables["scores"].to_pylist()
    off = next(row for row in scores if row["method"] == "noop" and row["metric"] == "identity_distance")
    off["value"] = 0.5
    broken = contents_of(tables | {"scores": pa.Table.from_pylist(scores, SCORES)})
    assert any("noop does not hold" in line for line in doubts(broken, board))


def test_a_run_without_scores_of_its_columns_has_no_verdict() -> None:
    tables = random_run.tables()
    bare = contents_of(tables | {"scores": tables["scores"].slice(0, 0)})
    assert SECTION.values(bare) == {}
