"""Intervals by a bootstrap over faces, and differences between two methods on the same faces.

The images of one face are edits of one code and depend on each other, so faces are resampled, not images
(Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8: resample the independent units). The random
faces depend on the run's seed and the number of faces alone: two methods are always resampled alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A value with its interval (None where there is none), and how many faces and images it rests on."""

    value: float
    low: float | None
    high: float | None
    n_faces: int
    n_images: int


def keyed_rng(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and the names alone; no global state is touched."""
    key = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(key[:16], np.uint32).tolist()])


def face_rows(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct faces (F,) in order of id, and for each image (N,) the row of its face."""
    distinct, rows = np.unique(faces, return_inverse=True)
    return distinct, rows


def sums_by_face(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Sums over the images of each face: values (N,) or (N, d) -> (F,) or (F, d) float64, faces in order of id."""
    distinct, rows = face_rows(faces)
    sums = np.zeros((len(distinct), *values.shape[1:]))
    np.add.at(sums, rows, values)
    return sums


@lru_cache(maxsize=4)
def _drawn(seed: int, n_faces: int, samples: int) -> np.ndarray:
    """`Bootstrap.counts`, which the differences and ranks of a run ask for over and over; not to be written to."""
    rng = keyed_rng(seed, "faces", str(n_faces))
    drawn = rng.multinomial(n_faces, np.full(n_faces, 1 / n_faces), size=samples).astype(np.float64)
    drawn.setflags(write=False)
    return drawn


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: the number of resamples, the level of the interval, the seed of the run."""

    samples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def counts(self, n_faces: int, samples: int | None = None) -> np.ndarray:
        """How often each face is drawn: (samples, n_faces) float64, rows summing to n_faces."""
        return _drawn(self.seed, n_faces, samples or self.samples)

    def interval(self, resampled: np.ndarray) -> tuple[float | None, float | None]:
        """The percentile interval of resampled values; resamples without a value (NaN) are left out.

        (None, None) if fewer than half have one.
        """
        finite = resampled[np.isfinite(resampled)]
        if 2 * len(finite) < max(len(resampled), 1):
            return None, None
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(finite, [tail, 1 - tail])
        return float(low), float(high)

    def centred_interval(self, value: float, resampled: np.ndarray) -> tuple[float | None, float | None]:
        """The percentile interval of the resamples' deviations from their mean, laid around the value.

        For distances between sets of images, which grow when a set holds the same face twice: resampling
        shifts them, and only their spread tells of the sampling of faces.
        """
        low, high = self.interval(resampled - np.nanmean(resampled)) if np.isfinite(resampled).any() else (None, None)
        return (None, None) if low is None or high is None else (value + low, value + high)

    def mean(self, values: np.ndarray, faces: np.ndarray) -> Estimate:
        """Mean over images, with its interval. values, faces: (N,); without any image the mean is NaN."""
        sums, sizes = sums_by_face(values.astype(np.float64), faces), sums_by_face(np.ones(len(values)), faces)
        if not len(sums):
            return Estimate(float("nan"), None, None, 0, 0)
        counts = self.counts(len(sums))
        low, high = self.interval((counts @ sums) / (counts @ sizes))
        return Estimate(float(sums.sum() / sizes.sum()), low, high, len(sums), len(values))

    def median(self, values: np.ndarray) -> Estimate:
        """Median of independent values (N,), such as repetitions of a timing, with its interval."""
        rng = keyed_rng(self.seed, "median", str(len(values)))
        drawn = values[rng.integers(len(values), size=(self.samples, len(values)))]
        low, high = self.interval(np.median(drawn, axis=1))
        return Estimate(float(np.median(values)), low, high, 1, len(values))

    def difference(
        self, first: np.ndarray, first_faces: np.ndarray, second: np.ndarray, second_faces: np.ndarray
    ) -> Estimate:
        """Mean of `first` minus mean of `second` over the faces that both have, resampled together.

        Values and faces: (N,) and (M,). Without a common face the difference is NaN.
        """
        common = np.intersect1d(first_faces, second_faces)
        if not len(common):
            return Estimate(float("nan"), None, None, 0, 0)
        counts = self.counts(len(common))
        means, resampled, images = [], [], 0
        for values, faces in ((first, first_faces), (second, second_faces)):
            kept = np.isin(faces, common)
            sums = sums_by_face(values[kept].astype(np.float64), faces[kept])
            sizes = sums_by_face(np.ones(int(kept.sum())), faces[kept])
            means.append(float(sums.sum() / sizes.sum()))
            resampled.append((counts @ sums) / (counts @ sizes))
            images += int(kept.sum())
        low, high = self.interval(resampled[0] - resampled[1])
        return Estimate(means[0] - means[1], low, high, len(common), images)
