"""Differences of means on the same faces, their intervals and p values, and Holm's correction for many comparisons.

The interval is the bootstrap's; faces are resampled together for both means, as in `Bootstrap.difference`. The p value
is of a two-sided bootstrap test of "no difference" after Hall & Wilson, "Two Guidelines for Bootstrap Hypothesis
Testing", Biometrics 1991: resample around the estimate, and compare in standard errors. With d the difference, s its
standard error over faces, and d*, s* the same of a resample,

    p = (1 + number of resamples with |d* - d| / s* >= |d| / s) / (1 + number of resamples),

and at least 2^(1 - faces), the smallest p of an exact sign test, so two faces that agree prove nothing. s is the root
mean square of the parts that faces have in the difference, divided by the root of their number.

Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979: the chance of
even one false claim among all comparisons of a family stays below the level, whatever their dependence.

Four faces on which the first method is always 1 better; 2^(1 - 4) is .125:

>>> import numpy as np
>>> from pipeline.statistics.bootstrap import Bootstrap
>>> from pipeline.statistics.differences import FaceSums, holm, paired
>>> first = FaceSums(sums=np.array([[1.0, 2.0, 3.0, 4.0]]), sizes=np.ones((1, 4)))
>>> second = FaceSums(sums=np.array([[0.0, 1.0, 2.0, 3.0]]), sizes=np.ones((1, 4)))
>>> difference = paired(Bootstrap(), first, second)
>>> difference.value, difference.p
(array([1.]), array([0.125]))
>>> holm(np.array([0.01, 0.04, 0.03]))  # .01 x 3, .03 x 2, and not below that
array([0.03, 0.06, 0.06])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.statistics.bootstrap import LEAST_FACES, Bootstrap

BATCH_NUMBERS = 4_000_000  # numbers in memory at once: resamples x comparisons
ROUNDING = 1e-12  # a difference or an error below this share of the means counts as 0


Noise = float | np.ndarray  # of the judges: a difference no larger counts as 0; one number, or one per mean (R,)


@dataclass(frozen=True)
class FaceSums:
    """R means over the images of the same F faces, as sums (R, F) and numbers of images, sizes (R, F); float64.

    A mean is the sum of its sums divided by the sum of its sizes. A face without an image has size 0.

    >>> FaceSums(sums=np.array([[2.0, 6.0]]), sizes=np.array([[1.0, 3.0]])).means()
    array([2.])
    """

    sums: np.ndarray
    sizes: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> FaceSums:
        return FaceSums(self.sums[rows], self.sizes[rows])

    def on(self, faces: np.ndarray) -> FaceSums:
        """The same means over some of the faces, chosen by index or by a boolean mask (F,)."""
        return FaceSums(self.sums[:, faces], self.sizes[:, faces])

    def means(self) -> np.ndarray:
        """The means, (R,)."""
        return np.asarray(self.sums.sum(axis=1) / self.sizes.sum(axis=1))

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """The means of every resample: counts (B, F) -> (B, R)."""
        return np.asarray((counts @ self.sums.T) / (counts @ self.sizes.T))

    def parts(self) -> np.ndarray:
        """The part of each face in its mean, (R, F): how the mean moves with the weight of the face; 0 on average."""
        return np.asarray((self.sums - self.means()[:, None] * self.sizes) / self.sizes.mean(axis=1, keepdims=True))


@dataclass(frozen=True)
class Differences:
    """R differences: value, low, high and p, each (R,) float64, NaN where there is none; n_faces (R,)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    n_faces: np.ndarray


def paired(bootstrap: Bootstrap, first: FaceSums, second: FaceSums, noise: Noise = 0.0) -> Differences:
    """Means of `first` minus means of `second`, row by row, over the faces that both have.

    A difference no larger than the noise of its judges has p = 1.
    """
    noises = np.broadcast_to(noise, len(first.sums))
    common = (first.sizes > 0) & (second.sizes > 0)
    n_faces = common.sum(axis=1)
    value, low, high, p = (np.full(len(common), np.nan) for _ in range(4))
    masks, group = np.unique(common, axis=0, return_inverse=True)
    for index, faces in enumerate(masks):
        number = int(faces.sum())
        if not number:
            continue
        rows = np.flatnonzero(group.ravel() == index)
        left, right = first[rows].on(faces), second[rows].on(faces)
        value[rows] = left.means() - right.means()
        if number < LEAST_FACES:
            continue
        counts = bootstrap.counts(number)
        for batch in np.array_split(np.arange(len(rows)), -(-len(rows) * len(counts) // BATCH_NUMBERS)):
            chosen = rows[batch]
            low[chosen], high[chosen], p[chosen] = _tested(bootstrap, counts, left[batch], right[batch], noises[chosen])
    return Differences(value, low, high, p, n_faces)


def _tested(
    bootstrap: Bootstrap, counts: np.ndarray, left: FaceSums, right: FaceSums, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Low, high and p, each (R,), of differences over faces that all R of them have."""
    number = counts.shape[1]
    value = left.means() - right.means()
    resampled = left.resampled(counts) - right.resampled(counts)
    low, high = bootstrap.ends(value, resampled, number)
    scale = ROUNDING * (np.abs(left.means()) + np.abs(right.means()))
    parts = left.parts() - right.parts()
    error = np.sqrt((parts**2).sum(axis=1)) / number
    mean, square = counts @ parts.T / number, counts @ (parts**2).T / number
    spread = np.sqrt((square - mean**2).clip(min=0.0) / number)
    distance = np.abs(resampled - value)
    distance[distance <= scale] = 0.0
    # |d* - d| / s* >= |d| / s, multiplied out, so that no error of zero divides
    as_far = distance * error >= np.abs(value) * spread
    p = (1 + as_far.sum(axis=0)) / (1 + len(counts))
    same = error <= scale  # all faces agree: only the sign and the number of faces carry information
    p[same] = 1 / (1 + len(counts))
    p = np.maximum(p, 2.0 ** (1 - number))
    p[np.abs(value) <= np.maximum(scale, noise)] = 1.0
    return low, high, p


def unpaired(
    first: tuple[np.ndarray, np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray, np.ndarray],
    confidence: float = 0.95,
) -> Differences:
    """First minus second for independent estimates, each (value, low, high) of (R,), with intervals of one level.

    The ends follow Zou & Donner, "Construction of Confidence Limits About Effect Measures", Statistics in Medicine
    2008: the halves of the two intervals towards an end, added in squares. p is from a normal distribution whose
    standard error is the half towards zero divided by the quantile of the level. NaN where an estimate has no interval.

    >>> first = np.array([5.0]), np.array([2.0]), np.array([8.0])
    >>> second = np.array([1.0]), np.array([-3.0]), np.array([5.0])
    >>> difference = unpaired(first, second)  # halves of 3 and 4 give 5
    >>> difference.value, difference.low, difference.high
    (array([4.]), array([-1.]), array([9.]))
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
    """Holm's adjusted p values (R,) of one family; NaN means no comparison and stays NaN.

    The k-th smallest of m values is multiplied by m - k + 1, then raised to the one before it if smaller, and cut at 1.
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
