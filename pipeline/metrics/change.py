"""What an edit achieves on its own attribute, as scorer B sees it, which no method trains on.

A method that hardly edits keeps the identity; these two say how much it edited, and whether strength means more.
Ranks are of logits, cut as those of matched change are, and steps that differ by no more than LOGIT_NOISE are equal: a
scorer's last digits differ from batch to batch, and ranks would make a correlation of them.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric, Samples
from pipeline.statistics.units import LARGEST_LOGIT, LOGIT_NOISE


def changes(edits: EditSet) -> list[Samples]:
    """Per face and attribute, the edited attribute's value at the last step minus that at the first."""
    rows, faces = edits.rows_by_edit()
    values = edits.columns["edited_value"].astype(np.float64)
    return [Samples(values[rows[:, -1]] - values[rows[:, 0]], faces, "scorer_b")]


def change(edits: EditSet) -> list[Judgement]:
    """Mean change over faces (and attributes)."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in changes(edits)]


def correlations(edits: EditSet) -> list[Samples]:
    """Per face and attribute, Spearman's correlation of strength and logit; 0 where no step changes it."""
    rows, faces = edits.rows_by_edit()
    strength = _ranks(edits.columns["strength"][rows])
    value = _ranks(_logits(edits.columns["edited_value"][rows]), LOGIT_NOISE)
    return [Samples(_correlations(strength, value), faces, "scorer_b")]


def monotonicity(edits: EditSet) -> list[Judgement]:
    """Mean correlation over faces (and attributes)."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in correlations(edits)]


def _logits(values: np.ndarray) -> np.ndarray:
    """Logits of values in [0, 1], cut at +-LARGEST_LOGIT; float64."""
    exact = values.astype(np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray((np.log(exact) - np.log1p(-exact)).clip(-LARGEST_LOGIT, LARGEST_LOGIT))


def _ranks(values: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Ranks along each row of (E, steps), from 0: how many are smaller, and half of the others in the noise."""
    apart = values[:, :, None] - values[:, None, :]
    return np.asarray((apart > noise).sum(axis=2) + ((np.abs(apart) <= noise).sum(axis=2) - 1) / 2)


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row of (E, steps) with the same row of the other; 0 where one is constant.

    Ranks are halves of whole numbers whose mean is (steps - 1) / 2 exactly, so constant ones leave no rest.
    """
    middle = (first.shape[1] - 1) / 2
    first, second = first - middle, second - middle
    norm = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray((first * second).sum(axis=1) / np.where(norm > 0, norm, 1.0))


ATTRIBUTE_CHANGE = Metric(
    name="attribute_change",
    version=1,
    meaning="edited attribute at the strong end of the range minus at the weak end",
    paper="ours",
    unit="attribute value",
    better="higher",
    score=change,
    roles=("scorer_b",),
    samples=changes,
    bounds=(-1.0, 1.0),
    noise=1e-4,  # values differ by up to 1.6e-5
)

ATTRIBUTE_MONOTONICITY = Metric(
    name="attribute_monotonicity",
    version=2,
    meaning="rank correlation of strength and edited attribute within a face; steps within a scorer's noise are equal",
    paper="ours",
    unit="Spearman correlation",
    better="higher",
    score=monotonicity,
    roles=("scorer_b",),
    samples=correlations,
    bounds=(-1.0, 1.0),
)
