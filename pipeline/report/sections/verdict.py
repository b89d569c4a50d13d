"""The verdict: the leaderboard, who leads by what and how surely, and what speaks against this run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.contents import Contents
from pipeline.report.controls import control_checks
from pipeline.report.grids import CHANGE, IDENTITY, SECONDS, Cell, Row
from pipeline.report.leaderboard import DEPENDENCY, Leaderboard, ScoreColumn, leaderboard
from pipeline.report.sections import PageSection
from pipeline.report.sections.certainty import counted, few

QUESTIONS = {
    IDENTITY: "Keeps the person best",
    DEPENDENCY: "Changes the least besides the attribute",
    CHANGE: "Changes the attribute the most",
}


@dataclass(frozen=True)
class Answer:
    """Who is first by one column: the methods of rank 1 with their scores, and others whose interval includes rank 1.

    where: by which edits. sure: no other competitor's interval includes rank 1.
    """

    question: str
    where: str
    first: tuple[tuple[str, Cell], ...]
    row: Row
    others: tuple[str, ...]

    @property
    def sure(self) -> bool:
        """Whether one method alone can be first."""
        return len(self.first) == 1 and not self.others


def answers(board: Leaderboard) -> list[Answer]:
    """An answer for every column that has ranks, in the order of the columns."""
    return [_answer(board, column) for column in board.columns if column.standings]


def _answer(board: Leaderboard, column: ScoreColumn) -> Answer:
    first, others = [], []
    for place in board.competitors:
        standing, cell = column.standings[place], column.row.cells[place]
        if standing is None or cell is None:
            continue
        if standing.rank == 1:
            first.append((board.grid.methods[place], cell))
        elif standing.low == 1:
            others.append(board.grid.methods[place])
    question = QUESTIONS.get(column.row.metric, f"Leads by {column.row.name}")
    return Answer(question, column.where, tuple(first), column.row, tuple(others))


def shared_reasons(board: Leaderboard) -> list[str]:
    """What is said against every score of images in the leaderboard that has an interval, once."""
    rows = [row for row in board.grid.rows if row.metric not in SECONDS]
    cells = [cell for row in rows for cell in row.cells if cell is not None and cell.low is not None]
    reasons = [cell.flag.split("; ") if cell.flag else [] for cell in cells]
    return [reason for reason in (reasons[0] if reasons else []) if all(reason in one for one in reasons)]


def doubts(contents: Contents, board: Leaderboard) -> list[str]:
    """What a reader must know before believing the verdict, in sentences: of its faces, its controls, its tests."""
    shared = shared_reasons(board)
    of_faces = few(contents.differences, 1 - contents.run.experiment.get("confidence", 0.95))
    pairs = "" if of_faces else counted(contents)
    return [
        *([f"Every score here is of {' and '.join(shared)}: take the order as a hint."] if shared else []),
        *([of_faces] if of_faces else []),
        *_of_controls(contents),
        *([f"Tests tell {pairs} pairs of competitors apart, over all metrics."] if pairs else []),
    ]


def _of_controls(contents: Contents) -> list[str]:
    checks = control_checks(contents.scores)
    broken = [
        f"Control {one.control} does not hold: expected {one.expected}, found {one.found}."
        for one in checks
        if one.holds is False
    ]
    holding = [one.control for one in checks if one.holds]
    return [*broken, *([f"Controls hold: {', '.join(holding)}."] if holding and not broken else [])]


def legend(board: Leaderboard, shared: Sequence[str]) -> list[str]:
    """The further reasons against single scores of the leaderboard, in the order of its footnotes."""
    found = [reason for flag in board.grid.flags for reason in flag.split("; ") if reason not in shared]
    return list(dict.fromkeys(found))


def _values(contents: Contents) -> dict[str, Any]:
    board = leaderboard(contents)
    if board is None:
        return {}
    shared = shared_reasons(board)
    return {
        "board": board,
        "answers": answers(board),
        "doubts": doubts(contents, board),
        "reasons": legend(board, shared),
        "groups": _groups(board),
    }


def _groups(board: Leaderboard) -> list[tuple[str, int]]:
    """The headings above the columns, and over how many each stands."""
    groups: list[tuple[str, int]] = []
    for column in board.columns:
        if groups and groups[-1][0] == column.where:
            groups[-1] = (column.where, groups[-1][1] + 1)
        else:
            groups.append((column.where, 1))
    return groups


SECTION = PageSection(key="verdict", title="Verdict", order=10, template="verdict.html.j2", values=_values)
