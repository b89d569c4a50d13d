"""What an edit achieves on its own attribute, as scorer B sees it. No method trains on scorer B.

A method that hardly edits keeps the identity. `attribute_change` says how much an edit changed: the value of the edited
attribute, in [0, 1], at the last step minus its value at the first. `attribute_monotonicity` says whether more strength
means more change: Spearman's rank correlation of strength and value, in [-1, 1]. Both metrics are ours.

Ranks are of logits, clipped at +-LARGEST_LOGIT as in the matched-change protocol. Steps whose logits differ by at most
LOGIT_NOISE share a rank, because a scorer's last digits differ from batch to batch.

>>> import numpy as np
>>> from pipeline.metrics.change import spearman
>>> strengths, logits = np.array([[-1.0, 0.0, 1.0]] * 3), np.array([[0.1, 0.2, 0.3], [3.0, 2.0, 1.0], [5.0, 5.0, 5.0]])
>>> spearman(strengths, logits)  # rises, falls, nothing changes
array([ 1., -1.,  0.])
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric, Samples
from pipeline.statistics.units import LARGEST_LOGIT, LOGIT_NOISE


def changes(edits: EditSet) -> list[Samples]:
    """Per face and attribute, the value of the edited attribute at the last step minus its value at the first."""
    rows, faces = edits.rows_by_edit()
    values = edits.columns["edited_value"].astype(np.float64)
    return [Samples(values[rows[:, -1]] - values[rows[:, 0]], faces, "scorer_b")]


def change(edits: EditSet) -> list[Judgement]:
    """Mean change over faces (and attributes)."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in changes(edits)]


def correlations(edits: EditSet) -> list[Samples]:
    """Per face and attribute, Spearman's correlation of strength and logit."""
    rows, faces = edits.rows_by_edit()
    logits = _logits(edits.columns["edited_value"][rows])
    return [Samples(spearman(edits.columns["strength"][rows], logits), faces, "scorer_b")]


def monotonicity(edits: EditSet) -> list[Judgement]:
    """Mean correlation over faces (and attributes)."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in correlations(edits)]


def spearman(strengths: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Spearman's correlation (E,) of the rows of strengths (E, steps) and logits (E, steps).

    0 where no two logits of a row differ by more than LOGIT_NOISE: all ranks are then exactly their mean.
    """
    middle = (strengths.shape[1] - 1) / 2
    first, second = _ranks(strengths) - middle, _ranks(logits, LOGIT_NOISE) - middle
    norm = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray((first * second).sum(axis=1) / np.where(norm > 0, norm, 1.0))


def _logits(values: np.ndarray) -> np.ndarray:
    """Logits of values in [0, 1], clipped at +-LARGEST_LOGIT; float64."""
    exact = values.astype(np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray((np.log(exact) - np.log1p(-exact)).clip(-LARGEST_LOGIT, LARGEST_LOGIT))


def _ranks(values: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Ranks, from 0, along each row of (E, steps): the number of smaller values, plus half the number of equal ones.

    Values that differ by at most the noise are equal.
    """
    difference = values[:, :, None] - values[:, None, :]
    smaller, equal = (difference > noise).sum(axis=2), (np.abs(difference) <= noise).sum(axis=2) - 1
    return np.asarray(smaller + equal / 2)


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
