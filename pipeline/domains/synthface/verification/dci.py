"""Disentanglement, completeness and informativeness of a space of codes, by boosted trees.

Eastwood & Williams, "A Framework for the Quantitative Evaluation of Disentangled Representations", ICLR 2018. The
protocol is StyleSpace's (Wu et al., CVPR 2021; github.com/betterze/StyleSpace, `DCI.py`): of 100,000 codes drawn
without truncation, attributes are kept that have at least 5 % of the faces on each side of their middle; per
attribute the 2 % with the highest and the 2 % with the lowest value are told apart by gradient-boosted trees (100
trees of depth 3, rate .1), trained on a random half, and the trees' importances are the column of that attribute.
Informativeness is the share of the other half that the trees get right.

Where we depart:

- values are the truth's, not a classifier's; so every face counts, whether or not its picture is a good one;
- truths have ties (a binary attribute has two values): among equals those with the lowest places are taken, and the
  places mean nothing; their code takes none of tied extremes;
- the label is the side a face was taken from; theirs is the sign of the classifier's logit;
- the trees are scikit-learn's histogram trees on 32 bins (theirs: its exact trees, 20 to 40 times slower), whose
  importance is likewise the sum of every split's gain. On 6 attributes of 512-dimensional codes both gave the same D
  within .04.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pipeline import attributes

EXTREME = 0.02  # of all faces, on each side
LEAST_SHARE = 0.05  # of all faces, on each side of the middle of a kept attribute
BINS, TREES, DEPTH = 32, 100, 3

Codes = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Disentanglement:
    """Each in [0, 1], 1 best; `attributes` are those that were kept, `importances` (D, K) sum to 1 in each column."""

    disentanglement: float
    completeness: float
    informativeness: float
    attributes: tuple[str, ...]
    importances: np.ndarray = field(repr=False)


def dci(importances: np.ndarray) -> tuple[float, float]:
    """Disentanglement and completeness of importances (dimensions, attributes), none negative.

    A dimension's disentanglement is 1 - the entropy of its row, as a distribution over attributes, in units of the
    largest possible; the score is their mean, weighted by the rows' sums. Completeness is the same of columns.
    Raises ValueError where an importance is negative or all are zero, or either side has fewer than two entries.
    """
    if importances.ndim != 2 or min(importances.shape) < 2:
        raise ValueError(f"importances must be (dimensions, attributes), two of each or more: got {importances.shape}.")
    if not np.isfinite(importances).all() or importances.min() < 0 or importances.sum() <= 0:
        raise ValueError("importances must be finite, none negative, and not all zero.")
    return _concentration(importances), _concentration(importances.T)


def _concentration(rows: np.ndarray) -> float:
    weight = rows.sum(axis=1)
    share = rows[weight > 0] / weight[weight > 0, None]
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1) / np.log(rows.shape[1])
    return float((weight[weight > 0] * (1 - entropy)).sum() / weight.sum())


def kept(values: np.ndarray) -> list[int]:
    """Columns of values (N, 35) in [0, 1] with at least LEAST_SHARE of the faces on each side of .5."""
    share = (values > 0.5).mean(axis=0)
    return [int(column) for column in np.flatnonzero((share >= LEAST_SHARE) & (share <= 1 - LEAST_SHARE))]


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the lowest and of the highest EXTREME of values (N,); equals by their place."""
    order = np.argsort(values, kind="stable")
    count = max(4, int(len(values) * EXTREME))
    return order[:count], order[-count:]


def tree_gains(
    codes: np.ndarray, sides: np.ndarray, seed: int
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Boosted trees that tell sides (N,) of 0 and 1 apart: the gain of every dimension (D,), sum 1, and their vote."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=TREES, max_depth=DEPTH, max_bins=BINS, min_samples_leaf=1, early_stopping=False, random_state=seed
    ).fit(codes, sides)
    gains = np.zeros(codes.shape[1])
    for (tree,) in trees._predictors:  # the only place where scikit-learn keeps the gains of its histogram trees
        splits = tree.nodes[tree.nodes["is_leaf"] == 0]
        np.add.at(gains, splits["feature_idx"], splits["gain"])
    return gains / gains.sum(), trees.predict


def disentanglement(codes: Codes, values: np.ndarray, seed: int = 0) -> Disentanglement:
    """The figures of a space whose codes (n, D) of some places `codes` gives, against values (N, 35) in [0, 1]."""
    columns = kept(values)
    if len(columns) < 2:
        raise ValueError(f"{len(columns)} attributes have {LEAST_SHARE:.0%} of the faces on each side; needed are two.")
    importances, right = [], []
    for column in columns:
        low, high = extremes(values[:, column])
        rng = np.random.default_rng([seed, column])
        places = rng.permutation(np.concatenate([low, high]))
        sides = np.isin(places, high).astype(np.int64)
        seen, half = np.ascontiguousarray(codes(places), dtype=np.float32), len(places) // 2
        gains, vote = tree_gains(seen[:half], sides[:half], seed)
        importances.append(gains)
        right.append(float((vote(seen[half:]) == sides[half:]).mean()))
    matrix = np.stack(importances, axis=1)
    names = tuple(attributes.NAMES[column] for column in columns)
    return Disentanglement(*dci(matrix), float(np.mean(right)), names, matrix)
