"""Ranks of methods by a mean over images, and how certain the ranks are.

All methods are resampled with the same faces, so a face on which every method does badly moves no rank. The interval of
a rank is the percentile interval of the resampled ranks. It says how ranks scatter, and is known to be too narrow where
methods are nearly equal. The ranks that the tested differences leave are given too: from 1 + the number of methods that
are significantly better to the number of methods - the number that are significantly worse. The tests are corrected
together, so these sets hold the true ranks of all methods at once, at the level of the tests (Mogstad, Romano, Shaikh &
Wilhelm, "Inference for Ranks", Review of Economic Studies 2024; the construction is theirs, with Holm's correction).

Means of 1, 3 and 2 on every face, where lower is better:

>>> import numpy as np
>>> from pipeline.statistics.bootstrap import Bootstrap
>>> from pipeline.statistics.differences import FaceSums
>>> from pipeline.statistics.ranks import ends_of_tests, ranked
>>> means = FaceSums(np.repeat([[1.0], [3.0], [2.0]], 4, axis=1), np.ones((3, 4)))
>>> ranks = ranked(Bootstrap(), means, np.array([True, True, True]), lower_is_better=True)
>>> ranks.rank, ranks.first
(array([1., 3., 2.]), array([1., 0., 0.]))
>>> significant = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0]])  # the first is better than the second
>>> ends_of_tests(significant, np.array([True, True, True]))
(array([1, 2, 1]), array([2, 3, 3]))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.statistics.bootstrap import LEAST_FACES, Bootstrap
from pipeline.statistics.differences import FaceSums


@dataclass(frozen=True)
class Ranks:
    """Ranks of M methods, each (M,): 1 is best. NaN where a method has no face, or none in common with the others.

    rank; low, high: the interval by resampling; first: the share of resamples in which no competitor is better; equal
    methods divide it. A control has the rank it would have if it alone joined the competitors.
    """

    rank: np.ndarray
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray
    n_faces: int


def ranked(
    bootstrap: Bootstrap, means: FaceSums, rivals: np.ndarray, *, lower_is_better: bool, noise: float = 0.0
) -> Ranks:
    """Ranks of M means over the faces that all methods with any face have in common.

    rivals (M,) bool: which methods compete; the others are controls. Means that differ by at most the noise of their
    judges are equal.
    """
    known = np.asarray((means.sizes > 0).any(axis=1))
    rank, low, high, first = (np.full(len(known), np.nan) for _ in range(4))
    faces = np.asarray((means.sizes[known] > 0).all(axis=0))
    number = int(faces.sum()) if known.any() else 0
    if number:
        sign = 1.0 if lower_is_better else -1.0
        shared, competes = means[known].on(faces), np.asarray(rivals, dtype=bool)[known]
        rank[known] = _ranks(sign * shared.means()[None], competes, noise)[0]
        if number >= LEAST_FACES:
            values = sign * shared.resampled(bootstrap.counts(number))
            ranks_of_resamples = _ranks(values, competes, noise)
            tail = (1 - bootstrap.confidence) / 2
            ends = np.quantile(ranks_of_resamples, [tail, 1 - tail], axis=0, method="inverted_cdf")
            low[known], high[known] = np.minimum(ends[0], rank[known]), np.maximum(ends[1], rank[known])
            first[known] = _first(values, ranks_of_resamples, competes, noise)
    return Ranks(rank, low, high, first, number)


def _ranks(values: np.ndarray, competes: np.ndarray, noise: float) -> np.ndarray:
    """1 + the number of competitors whose value is smaller by more than the noise: (B, M) -> (B, M)."""
    rivals = np.sort(values[:, competes], axis=1)
    smaller = np.zeros(values.shape)
    for column in range(rivals.shape[1]):
        smaller += values - rivals[:, column, None] > noise
    return smaller + 1


def _first(values: np.ndarray, ranks_of_resamples: np.ndarray, competes: np.ndarray, noise: float) -> np.ndarray:
    """Share of B resamples in which each of M methods is first; competitors that are equal divide a resample, (M,)."""
    firsts = competes & (ranks_of_resamples == 1)  # no competitor is better
    equal = ((np.abs(values[:, None, :] - values[:, competes, None]) <= noise) & firsts[:, competes, None]).sum(axis=1)
    sharing = equal + ~competes  # a control divides with the competitors that equal it
    return np.asarray(np.where(ranks_of_resamples == 1, 1.0 / np.maximum(sharing, 1), 0.0).mean(axis=0))


def ends_of_tests(significant: np.ndarray, rivals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest rank, each (M,), that the tests leave to each of M methods.

    significant (M, M): at [i, j] +1 where i is significantly better than j, -1 where worse, else 0. rivals (M,) as in
    `ranked`: only competitors count, and a control counts as if it alone joined them.
    """
    competes = np.asarray(rivals, dtype=bool)
    others = significant[:, competes]
    size = competes.sum() + ~competes
    return 1 + (others < 0).sum(axis=1), size - (others > 0).sum(axis=1)
