"""Ranks of methods by a mean over images, and how sure they are.

All methods are resampled with the same faces, so a face on which everybody does badly moves nobody's rank. The interval
of a rank is the percentile interval of the resampled ranks; it says how ranks scatter, and is known to be too narrow
where methods are nearly equal. Beside it stands the set of ranks that the tested differences leave: from 1 + the
methods that are significantly better to the number of methods - those significantly worse. As the tests are
corrected together, that set holds every method's true rank at once at the level of the tests (Mogstad, Romano, Shaikh
& Wilhelm, "Inference for Ranks", Review of Economic Studies 2024, whose construction this is, by Holm's correction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.statistics.bootstrap import LEAST_FACES, Bootstrap
from pipeline.statistics.differences import FaceSums


@dataclass(frozen=True)
class Ranks:
    """Ranks of M methods, each (M,): 1 is best. NaN where a method has no face, or none in common with the others.

    rank; low, high: the interval by resampling; first: the share of resamples in which no competitor is better, equal
    ones sharing it. A control's rank is the one it would take if it alone joined the competitors.
    """

    rank: np.ndarray
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray
    n_faces: int


def ranked(
    bootstrap: Bootstrap, means: FaceSums, rivals: np.ndarray, *, lower_is_better: bool, noise: float = 0.0
) -> Ranks:
    """Ranks of the means (M) over the faces that every method with any face has; `rivals` (M,): who competes.

    Means that differ by no more than the noise of their judges are equal.
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
            places = _ranks(values, competes, noise)
            tail = (1 - bootstrap.confidence) / 2
            ends = np.quantile(places, [tail, 1 - tail], axis=0, method="inverted_cdf")
            low[known], high[known] = np.minimum(ends[0], rank[known]), np.maximum(ends[1], rank[known])
            first[known] = _first(values, places, competes, noise)
    return Ranks(rank, low, high, first, number)


def _ranks(values: np.ndarray, competes: np.ndarray, noise: float) -> np.ndarray:
    """1 + the number of competitors with a value that is smaller by more than the noise: (B, M) -> (B, M)."""
    rivals = np.sort(values[:, competes], axis=1)
    smaller = np.zeros(values.shape)
    for column in range(rivals.shape[1]):
        smaller += values - rivals[:, column, None] > noise
    return smaller + 1


def _first(values: np.ndarray, places: np.ndarray, competes: np.ndarray, noise: float) -> np.ndarray:
    """Share of the resamples (B) in which each of M is first, divided by how many competitors are equal with it."""
    firsts = competes & (places == 1)  # the competitors that no other beats
    equal = ((np.abs(values[:, None, :] - values[:, competes, None]) <= noise) & firsts[:, competes, None]).sum(axis=1)
    sharing = equal + ~competes  # a control that joins shares with the competitors that equal it
    return np.asarray(np.where(places == 1, 1.0 / np.maximum(sharing, 1), 0.0).mean(axis=0))


def ends_of_tests(significant: np.ndarray, rivals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest rank that tests leave to each of M methods.

    significant[i, j] (M, M): +1 where i is significantly better than j, -1 where worse, 0 otherwise; `rivals` (M,) as
    in `ranked`: only competitors count as better or worse, and a control is counted as if it alone joined them.
    """
    competes = np.asarray(rivals, dtype=bool)
    others = significant[:, competes]
    size = competes.sum() + ~competes
    return 1 + (others < 0).sum(axis=1), size - (others > 0).sum(axis=1)
