"""What an edit achieves on its own attribute, as scorer B sees it, which no method trains on.

A method that hardly edits keeps the identity; these two say how much it edited, and whether strength means more.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric


def change(edits: EditSet) -> list[Judgement]:
    """Value of the edited attribute at the last step minus that at the first, mean over faces (and attributes)."""
    rows, faces = edits.rows_by_edit()
    values = edits.columns["edited_value"].astype(np.float64)
    estimate = edits.bootstrap.mean(values[rows[:, -1]] - values[rows[:, 0]], faces)
    return [Judgement(estimate, "scorer_b")]


def monotonicity(edits: EditSet) -> list[Judgement]:
    """Spearman's correlation of strength and value within a face, mean over faces (and attributes).

    0 for a face on which no step changes the value.
    """
    rows, faces = edits.rows_by_edit()
    strength = _ranks(edits.columns["strength"][rows])
    value = _ranks(edits.columns["edited_value"][rows])
    return [Judgement(edits.bootstrap.mean(_correlations(strength, value), faces), "scorer_b")]


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
)
