"""Bootstrap intervals over faces, and differences between two methods on the same faces.

The images of one face are edits of one code and depend on each other, so faces are resampled, not images (Efron &
Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8: resample the independent units). Which faces a resample
draws depends on the run's seed and the number of faces only, so all methods are resampled alike.

Percentile intervals of few faces cover too little: the variance of the resamples is divided by n and not by n - 1, and
their tails are a normal distribution's, where Student's t has wider ones (Hesterberg, "What Teachers Should Know
About the Bootstrap", The American Statistician 2015: narrowness bias). So the distance of each end to the value is
multiplied by t(n - 1) / z sqrt(n / (n - 1)): 1.87 for 4 faces, 1.06 for 32. The ends keep the skewness of the
resamples, and faces that all agree keep an interval of width 0. `benchmarks/coverage.py` simulates the coverage.

>>> import numpy as np

from pipeline.storage.fingerprint import bytes_sha256
>>> from pipeline.statistics.bootstrap import Bootstrap
>>> values, faces = np.array([1.0, 3.0, 2.0, 2.0]), np.array([7, 7, 8, 8])
>>> Bootstrap().mean(values, faces)  # both faces have a mean of 2
Estimate(value=2.0, low=2.0, high=2.0, n_faces=2, n_images=4)
>>> Bootstrap().mean(values[:2], faces[:2])  # one face says nothing about how faces differ
Estimate(value=2.0, low=None, high=None, n_faces=1, n_images=2)
>>> Bootstrap().difference(values, faces, values - 1, faces).value
1.0
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.storage.fingerprint import bytes_sha256

LEAST_FACES = 2  # one face says nothing about how faces differ


@dataclass(frozen=True)
class Estimate:
    """A value, the ends of its interval (None if there is none), and the number of faces and images behind it."""

    value: float
    low: float | None
    high: float | None
    n_faces: int
    n_images: int


def keyed_rng(seed: int, *names: str) -> np.random.Generator:
    """A random generator that depends on the seed and the names only. The global state is left alone.

    >>> bool(keyed_rng(0, "faces").random() == keyed_rng(0, "faces").random())
    True
    """
    key = bytes.fromhex(bytes_sha256("\0".join(names).encode()))
    return np.random.default_rng([seed, *np.frombuffer(key[:16], np.uint32).tolist()])


def face_rows(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ids (F,) of faces (N,), ascending, and the row of its face for each image, (N,).

    >>> face_rows(np.array([9, 7, 9]))
    (array([7, 9]), array([1, 0, 1]))
    """
    distinct, rows = np.unique(faces, return_inverse=True)
    return distinct, rows


def sums_by_face(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Sums over the images of each face: values (N,) or (N, d) -> (F,) or (F, d) float64, in ascending order of id.

    >>> sums_by_face(np.array([1.0, 2.0, 4.0]), np.array([9, 7, 9]))
    array([2., 5.])
    """
    distinct, rows = face_rows(faces)
    sums = np.empty((len(distinct), *values.shape[1:]))
    for column in np.ndindex(values.shape[1:]):
        sums[:, *column] = np.bincount(rows, values[:, *column], len(distinct))
    return sums


@lru_cache(maxsize=64)
def widening(n_faces: int, confidence: float) -> float:
    """The factor by which the ends of a percentile interval move away from the value, for n_faces >= 2.

    >>> round(widening(4, 0.95), 2), round(widening(32, 0.95), 2)
    (1.87, 1.06)
    """
    from scipy.special import ndtri, stdtrit

    upper = (1 + confidence) / 2
    return float(stdtrit(n_faces - 1, upper) / ndtri(upper) * np.sqrt(n_faces / (n_faces - 1)))


@lru_cache(maxsize=4)
def _drawn(seed: int, n_faces: int, samples: int) -> np.ndarray:
    """`Bootstrap.counts`, cached, because differences and ranks of a run ask for the same ones; read-only."""
    rng = keyed_rng(seed, "faces", str(n_faces))
    drawn = rng.multinomial(n_faces, np.full(n_faces, 1 / n_faces), size=samples).astype(np.float64)
    drawn.setflags(write=False)
    return drawn


def _end(end: float) -> float | None:
    """An end of an interval; NaN says that there is none."""
    return None if np.isnan(end) else end


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: the number of resamples, the confidence level in (0, 1), the seed of the run."""

    samples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def counts(self, n_faces: int, samples: int | None = None) -> np.ndarray:
        """How often each resample draws each face: (samples, n_faces) float64, rows summing to n_faces.

        >>> Bootstrap(samples=2).counts(3).sum(axis=1)
        array([3., 3.])
        """
        return _drawn(self.seed, n_faces, samples or self.samples)

    def percentiles(self, resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the percentile interval along the first axis of resampled values (S, ...)."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
        return low, high

    def ends(self, values: np.ndarray, resampled: np.ndarray, n_faces: int) -> tuple[np.ndarray, np.ndarray]:
        """Low and high ends (R,) of the intervals of values (R,) from resamples (S, R) of n_faces >= 2.

        They are percentiles whose distances to the value are widened (see the module), and hold the value.
        """
        low, high = self.percentiles(resampled)
        factor = widening(n_faces, self.confidence)
        down, up = values - factor * (values - low), values + factor * (high - values)
        return np.minimum(down, values), np.maximum(up, values)

    def interval(self, value: float, resampled: np.ndarray, n_faces: int) -> tuple[float | None, float | None]:
        """The interval of a value from resamples (S,) of n_faces; NaN resamples are left out.

        (None, None) if more than half of the resamples are NaN, with fewer than 2 faces, and for a NaN value.
        """
        finite = resampled[np.isfinite(resampled)]
        if 2 * len(finite) < max(len(resampled), 1) or n_faces < LEAST_FACES or not np.isfinite(value):
            return None, None
        low, high = self.ends(np.array([value]), finite[:, None], n_faces)
        return float(low[0]), float(high[0])

    def centred_interval(self, value: float, resampled: np.ndarray, n_faces: int) -> tuple[float | None, float | None]:
        """The interval of a value from resamples (S,), shifted so that their mean is the value.

        For distances between sets of images and scores of sets. They shift when a set holds a face twice, so only the
        spread of the resamples says how faces were sampled.
        """
        if not np.isfinite(resampled).any():
            return None, None
        return self.interval(value, value + resampled - np.nanmean(resampled), n_faces)

    def mean(self, values: np.ndarray, faces: np.ndarray) -> Estimate:
        """Mean of values (N,) of images with face ids (N,), with its interval; NaN without an image."""
        return self.means(values[:, None], faces)[0]

    def means(self, values: np.ndarray, faces: np.ndarray) -> list[Estimate]:
        """Means of the d columns of values (N, d) of images with face ids (N,), all resampled in one product."""
        sums, sizes = sums_by_face(values.astype(np.float64), faces), sums_by_face(np.ones(len(values)), faces)
        if not len(sums):
            return [Estimate(float("nan"), None, None, 0, 0)] * values.shape[1]
        counts, found = self.counts(len(sums)), sums.sum(axis=0) / sizes.sum()
        low, high = np.full((2, len(found)), np.nan)
        known = np.isfinite(found)
        if len(sums) >= LEAST_FACES:
            resampled = counts @ sums[:, known] / (counts @ sizes)[:, None]
            low[known], high[known] = self.ends(found[known], resampled, len(sums))
        return [
            Estimate(value, _end(down), _end(up), len(sums), len(values))
            for value, down, up in zip(found.tolist(), low.tolist(), high.tolist(), strict=True)
        ]

    def median(self, values: np.ndarray) -> Estimate:
        """Median of independent values (N,), such as repetitions of a timing, with its percentile interval.

        The resamples of a median are measured values, so the interval of few values is not too narrow, and not widened.
        """
        rng = keyed_rng(self.seed, "median", str(len(values)))
        drawn = values[rng.integers(len(values), size=(self.samples, len(values)))]
        low, high = self.percentiles(np.median(drawn, axis=1))
        return Estimate(float(np.median(values)), float(low), float(high), 1, len(values))

    def difference(
        self, first: np.ndarray, first_faces: np.ndarray, second: np.ndarray, second_faces: np.ndarray
    ) -> Estimate:
        """Mean of `first` minus mean of `second` over the faces that both have, resampled together.

        `first` and its face ids: (N,); `second` and its face ids: (M,). NaN without a common face.
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
