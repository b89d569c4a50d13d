"""What an edit achieves on its own attribute, as scorer B sees it, which no method trains on.

A method that hardly edits keeps the identity; these two say how much it edited, and whether strength means more.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric, Samples


def changes(edits: EditSet) -> list[Samples]:
    """Per face and attribute, the edited attribute's value at the last step minus that at the first."""
    rows, faces = edits.rows_by_edit()
    values = edits.columns["edited_value"].astype(np.float64)
    return [Samples(values[rows[:, -1]] - values[rows[:, 0]], faces, "scorer_b")]


def change(edits: EditSet) -> list[Judgement]:
    """Mean change over faces (and attributes)."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in changes(edits)]


def correlations(edits: EditSet) -> list[Samples]:
    """Per face and attribute, Spearman's correlation of strength and value; 0 where no step changes the value."""
    rows, faces = edits.rows_by_edit()
    strength = _ranks(edits.columns["strength"][rows])
    value = _ranks(edits.columns["edited_value"][rows])
    return [Samples(_correlations(strength, value), faces, "scorer_b")]


def monotonicity(edits: EditSet) -> list[Judgement]:
    """Mean correlation over faces (and attributes)."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in correlations(edits)]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along each row of (E, steps), equal values sharing the mean of theirs."""
    below = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    ties = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    return np.asarray(below + (ties - 1) / 2)


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row of (E, steps) with the same row of the other; 0 where one is constant."""
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    norm = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray((first * second).sum(axis=1) / np.where(norm > 0, norm, 1.0))


ATTRIBUTE_CHANGE = Metric(
    name="attribute_change",
    version=1,
    meaning="edited attribute at the strong end of the range minus at the weak end",
    paper="ours",
    unit="attribute value",
    better="higher",
    judge=change,
    roles=("scorer_b",),
    samples=changes,
)

ATTRIBUTE_MONOTONICITY = Metric(
    name="attribute_monotonicity",
    version=1,
    meaning="rank correlation of strength and edited attribute within a face",
    paper="ours",
    unit="Spearman correlation",
    better="higher",
    judge=monotonicity,
    roles=("scorer_b",),
    samples=correlations,
)
