"""Intervals by a bootstrap over faces, and differences between two methods on the same faces.

The images of one face are edits of one code and depend on each other, so faces are resampled, not images
(Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8: resample the independent units). The random
faces depend on the run's seed and the number of faces alone: two methods are always resampled alike.

Percentiles of few faces' resamples cover too little: their variance is that of n faces divided by n and not n - 1, and
their tails are a normal distribution's where those of Student's t are wider (Hesterberg, "What Teachers Should Know
About the Bootstrap", The American Statistician 2015: narrowness bias). So each end's distance to the value is taken
t(n - 1) / z sqrt(n / (n - 1)) times, 1.87 at 4 faces and 1.06 at 32. The ends keep the resamples' skewness, and faces
that all say the same keep an interval of no width. `benchmarks/coverage.py` simulates what is covered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LEAST_FACES = 2  # with fewer nothing tells how faces differ


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


@lru_cache(maxsize=64)
def widening(n_faces: int, confidence: float) -> float:
    """What the ends of a percentile interval over resamples of so many faces, at least 2, are moved away by."""
    from scipy.special import ndtri, stdtrit

    upper = (1 + confidence) / 2
    return float(stdtrit(n_faces - 1, upper) / ndtri(upper) * np.sqrt(n_faces / (n_faces - 1)))


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

    def percentiles(self, resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the percentile interval along the first axis of resampled values (S, ...)."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
        return low, high

    def ends(self, values: np.ndarray, resampled: np.ndarray, n_faces: int) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the intervals of values (R,) from resamples (S, R) of n_faces, at least 2; they hold the value.

        Percentiles, their distances to the value widened as the module says.
        """
        low, high = self.percentiles(resampled)
        factor = widening(n_faces, self.confidence)
        down, up = values - factor * (values - low), values + factor * (high - values)
        return np.minimum(down, values), np.maximum(up, values)

    def interval(self, value: float, resampled: np.ndarray, n_faces: int) -> tuple[float | None, float | None]:
        """The interval of a value from resamples (S,) of so many faces; those without a value (NaN) are left out.

        (None, None) if fewer than half have one, of fewer than 2 faces, and of no value.
        """
        finite = resampled[np.isfinite(resampled)]
        if 2 * len(finite) < max(len(resampled), 1) or n_faces < LEAST_FACES or not np.isfinite(value):
            return None, None
        low, high = self.ends(np.array([value]), finite[:, None], n_faces)
        return float(low[0]), float(high[0])

    def centred_interval(self, value: float, resampled: np.ndarray, n_faces: int) -> tuple[float | None, float | None]:
        """The interval of a value from the deviations of resamples (S,) from their mean, laid around the value.

        For distances between sets of images, and scores of sets, which shift when a set holds the same face twice:
        only the resamples' spread tells of the sampling of faces.
        """
        if not np.isfinite(resampled).any():
            return None, None
        return self.interval(value, value + resampled - np.nanmean(resampled), n_faces)

    def mean(self, values: np.ndarray, faces: np.ndarray) -> Estimate:
        """Mean over images, with its interval. values, faces: (N,); without any image the mean is NaN."""
        sums, sizes = sums_by_face(values.astype(np.float64), faces), sums_by_face(np.ones(len(values)), faces)
        if not len(sums):
            return Estimate(float("nan"), None, None, 0, 0)
        counts, value = self.counts(len(sums)), float(sums.sum() / sizes.sum())
        low, high = self.interval(value, (counts @ sums) / (counts @ sizes), len(sums))
        return Estimate(value, low, high, len(sums), len(values))

    def median(self, values: np.ndarray) -> Estimate:
        """Median of independent values (N,), such as repetitions of a timing, with its percentile interval.

        Its resamples are values that were measured: an order's interval, which few values do not make too narrow.
        """
        rng = keyed_rng(self.seed, "median", str(len(values)))
        drawn = values[rng.integers(len(values), size=(self.samples, len(values)))]
        low, high = self.percentiles(np.median(drawn, axis=1))
        return Estimate(float(np.median(values)), float(low), float(high), 1, len(values))

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
        low, high = self.interval(means[0] - means[1], resampled[0] - resampled[1], len(common))
        return Estimate(means[0] - means[1], low, high, len(common), images)
