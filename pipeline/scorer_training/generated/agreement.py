"""How far two labellings of the same faces agree: Cohen's kappa (1960), for grades with quadratic weights (1968)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from sklearn.metrics import cohen_kappa_score

from pipeline.scorer_training.generated import eye

GRADED = ("beard", "moustache", "sideburns", "baldness")  # 0, 1, 2: a difference of two counts four times one of one


@dataclass(frozen=True)
class Agreement:
    """`n` faces that both labelled, the share with the same letter, and kappa; None where both always say the same."""

    column: str
    n: int
    same: float
    kappa: float | None


def agreements(table: pa.Table) -> list[Agreement]:
    """Of each column, how far labellers 1 and 2 agree; faces of which one could not see it (x) are left out."""
    letters: dict[tuple[str, int, int], dict[str, str]] = {}
    for row in table.to_pylist():
        letters[row["role"], row["k"], row["labelling"]] = row
    pairs = [(row, letters.get((role, k, 2))) for (role, k, labelling), row in letters.items() if labelling == 1]
    both = [(first, second) for first, second in pairs if second is not None]
    return [_agreement(column, list(_seen(both, column))) for column in eye.COLUMNS]


def _seen(both: list[tuple[dict[str, str], dict[str, str]]], column: str) -> Iterator[tuple[str, str]]:
    for first, second in both:
        if eye.HIDDEN not in (first[column], second[column]):
            yield first[column], second[column]


def _agreement(column: str, pairs: list[tuple[str, str]]) -> Agreement:
    same = sum(first == second for first, second in pairs) / max(len(pairs), 1)
    return Agreement(column, len(pairs), same, kappa(pairs, graded=column in GRADED))


def kappa(pairs: list[tuple[str, str]], *, graded: bool) -> float | None:
    """Cohen's kappa of pairs of letters; None if all are the same letter, where chance alone would agree.

    >>> kappa([("0", "0"), ("0", "1"), ("1", "1"), ("1", "1")], graded=False)
    0.5
    """
    letters = sorted({letter for pair in pairs for letter in pair})
    if len(letters) < 2:
        return None
    first, second = zip(*pairs, strict=True)
    levels = list(eye.GRADES) if graded else letters
    found = cohen_kappa_score(first, second, labels=levels, weights="quadratic" if graded else None)
    return round(float(found), 4)
