"""Differences of means on the same faces, their intervals and p values, and Holm's correction for many of them.

The interval is the bootstrap's, faces resampled together for both means, as `Bootstrap.difference`. The p value is that
of a two-sided bootstrap test of "no difference" which follows Hall & Wilson, "Two Guidelines for Bootstrap Hypothesis
Testing", Biometrics 1991: resample around what was found, and compare in standard errors. With d the difference, s its
standard error over faces, and d*, s* those of a resample,

    p = (1 + number of resamples with |d* - d| / s* >= |d| / s) / (1 + number of resamples),

never below 2^(1 - faces): the least that an exact test of signs can give, so that two faces that agree prove nothing.
s is the root mean square over faces of their part in the difference, over the root of their number.

Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979: the chance of
even one false claim among all the comparisons of a family stays below the level, however they depend on each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.statistics.bootstrap import LEAST_FACES, Bootstrap

LOT = 4_000_000  # numbers held at once: resamples x comparisons
ROUNDING = 1e-12  # of the means: a difference or an error below this part of them is none


Noise = float | np.ndarray  # of the judges: what is no larger is no difference; one, or one per mean (R,)


@dataclass(frozen=True)
class FaceSums:
    """What means over images are made of, for R means over the same F faces: sums (R, F) and sizes (R, F), float64.

    A mean is the sum of its sums over the sum of its sizes; size 0 is a face without an image.
    """

    sums: np.ndarray
    sizes: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> FaceSums:
        return FaceSums(self.sums[rows], self.sizes[rows])

    def on(self, faces: np.ndarray) -> FaceSums:
        """The same means over some of the faces, chosen by place or by truth value (F,)."""
        return FaceSums(self.sums[:, faces], self.sizes[:, faces])

    def means(self) -> np.ndarray:
        """(R,)."""
        return np.asarray(self.sums.sum(axis=1) / self.sizes.sum(axis=1))

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """The means of every resample: counts (B, F) -> (B, R)."""
        return np.asarray((counts @ self.sums.T) / (counts @ self.sizes.T))

    def parts(self) -> np.ndarray:
        """Each face's part in its mean (R, F): how far the mean moves with the face's weight; 0 on average."""
        return np.asarray((self.sums - self.means()[:, None] * self.sizes) / self.sizes.mean(axis=1, keepdims=True))


@dataclass(frozen=True)
class Differences:
    """R differences: value, low, high, p, each (R,) float64, NaN where there is none; and the faces behind each."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    n_faces: np.ndarray


def paired(bootstrap: Bootstrap, first: FaceSums, second: FaceSums, noise: Noise = 0.0) -> Differences:
    """Means of `first` minus means of `second`, row by row, each over the faces that both have.

    A difference that is no larger than the noise of its judges has a p of 1.
    """
    noises = np.broadcast_to(noise, len(first.sums))
    common = (first.sizes > 0) & (second.sizes > 0)
    n_faces = common.sum(axis=1)
    value, low, high, p = (np.full(len(common), np.nan) for _ in range(4))
    masks, group = np.unique(common, axis=0, return_inverse=True)
    for place, faces in enumerate(masks):
        number = int(faces.sum())
        if not number:
            continue
        rows = np.flatnonzero(group.ravel() == place)
        one, other = first[rows].on(faces), second[rows].on(faces)
        value[rows] = one.means() - other.means()
        if number < LEAST_FACES:
            continue
        counts = bootstrap.counts(number)
        for lot in np.array_split(np.arange(len(rows)), -(-len(rows) * len(counts) // LOT)):
            chosen = rows[lot]
            low[chosen], high[chosen], p[chosen] = _tested(bootstrap, counts, one[lot], other[lot], noises[chosen])
    return Differences(value, low, high, p, n_faces)


def _tested(
    bootstrap: Bootstrap, counts: np.ndarray, one: FaceSums, other: FaceSums, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends of the interval, and p, of differences over faces that all of them have."""
    number = counts.shape[1]
    value = one.means() - other.means()
    resampled = one.resampled(counts) - other.resampled(counts)
    low, high = bootstrap.ends(value, resampled, number)
    scale = ROUNDING * (np.abs(one.means()) + np.abs(other.means()))
    parts = one.parts() - other.parts()
    error = np.sqrt((parts**2).sum(axis=1)) / number
    mean, square = counts @ parts.T / number, counts @ (parts**2).T / number
    spread = np.sqrt((square - mean**2).clip(min=0.0) / number)
    distance = np.abs(resampled - value)
    distance[distance <= scale] = 0.0
    # |d* - d| / s* >= |d| / s, multiplied out, so that no error of zero divides
    as_far = distance * error >= np.abs(value) * spread
    p = (1 + as_far.sum(axis=0)) / (1 + len(counts))
    same = error <= scale  # every face says the same: only its sign and the number of faces tell anything
    p[same] = 1 / (1 + len(counts))
    p = np.maximum(p, 2.0 ** (1 - number))
    p[np.abs(value) <= np.maximum(scale, noise)] = 1.0
    return low, high, p


def unpaired(
    first: tuple[np.ndarray, np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray, np.ndarray],
    confidence: float = 0.95,
) -> Differences:
    """First minus second, for independent estimates: each is (value, low, high), (R,), with intervals of one level.

    The ends follow Zou & Donner, "Construction of Confidence Limits About Effect Measures", Statistics in Medicine
    2008: each interval's own half towards the end in question, added in squares. p is that of a normal distribution
    whose standard error is the half towards zero over that level's quantile. NaN where one has no interval.
    """
    from scipy.stats import norm

    value = first[0] - second[0]
    down = np.sqrt((first[0] - first[1]) ** 2 + (second[2] - second[0]) ** 2)
    up = np.sqrt((first[2] - first[0]) ** 2 + (second[0] - second[1]) ** 2)
    half = np.where(value > 0, down, up)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(value) / half * norm.ppf((1 + confidence) / 2)
    p = np.where(value == 0, np.where(np.isnan(half), np.nan, 1.0), 2 * norm.sf(z))
    return Differences(value, value - down, value + up, p, np.full(len(value), -1))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p values (R,) of one family; NaN is no comparison and stays NaN.

    The k-th smallest of m is multiplied by m - k + 1, then made no smaller than the one before, and 1 at most.
    """
    adjusted = np.full(len(p), np.nan)
    places = np.flatnonzero(np.isfinite(p))
    order = places[np.argsort(p[places], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
