"""What was seen of one face along a method's strengths, and where it should be looked at next.

A response goes from the lowest strength over 0 to the highest; a ray is either half of it, from 0 outward. A response
keeps all looks at its face, whatever level they were made for, and every question is answered from all of them.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np

SIGNS = (1, -1)  # of the rays of a response, in this order
FIRST = (1 / 4, 1.0)  # shares of a ray's end that are always looked at
KNOTS = (1 / 16, 1 / 8, 1 / 2)  # looked at only where a level may be passed unseen
NEAR = 1.42  # a knot is left out if a look lies within this factor: half of the way to the next knot
# How far beyond both looks around a knot the change may go there unseen: a share of their difference and a number of
# standard deviations. Where the change turns, and where it rises or falls on from look to look.
TURNING, STEADY = (0.5, 0.3), (0.0, 0.1)
SMALLEST_STEP = 0.05  # a smaller difference between two looks is no sign that the change goes on
MODEL_POINTS = 33  # at which the model is read within an interval
MARGIN = 0.05  # share of an interval at either end that is not looked at


@dataclass(frozen=True)
class Ray:
    """Looks from 0 outward: distances (K,), changes (K,) as they were seen, and `filled` (K,).

    `filled` replaces a change that is no number by the change of the next farther look.
    """

    distances: np.ndarray
    changes: np.ndarray
    filled: np.ndarray

    def passed(self, directions: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """The first interval in which each level (T,) is passed in its direction (T,); K - 1 where none is."""
        misses = directions[:, None] * self.filled - levels[:, None]
        sides = misses < 0
        finite = np.isfinite(self.filled)
        passed = (sides[:, :-1] != sides[:, 1:]) & finite[:-1] & finite[1:]
        return np.where(passed.any(axis=1), passed.argmax(axis=1), len(self.filled) - 1)

    def distance_at(self, interval: int, change: float) -> float:
        """The distance in an interval at which a line between its ends has this change."""
        a, b = self.filled[interval : interval + 2]
        share = (change - a) / (b - a)
        return float(self.distances[interval] + share * (self.distances[interval + 1] - self.distances[interval]))

    def expected(self, interval: int, change: float) -> float:
        """The distance in an interval at which a monotone curve through all looks has this change."""
        from scipy.interpolate import PchipInterpolator  # here, since the chain is made by verbs that look at no face

        seen = np.isfinite(self.filled)
        curve = PchipInterpolator(self.distances[seen], self.filled[seen])
        low, high = self.distances[interval : interval + 2]
        tried = np.linspace(low, high, MODEL_POINTS)
        along = curve(tried)
        if along[0] > along[-1]:
            tried, along = tried[::-1], along[::-1]
        margin = MARGIN * (high - low)
        return float(np.clip(np.interp(change, along, tried), low + margin, high - margin))


class Response:
    """The looks at one face, whose strengths go from `low` <= 0 to `high` >= 0; `start` is the change at 0."""

    def __init__(self, low: float, high: float, start: float) -> None:
        self.ends = {1: high, -1: -low}
        self.strengths, self.changes = [0.0], [start]

    def add(self, strength: float, change: float) -> None:
        """Note what was seen at a strength."""
        index = bisect.bisect_left(self.strengths, strength)
        self.strengths.insert(index, strength)
        self.changes.insert(index, change)

    def ray(self, sign: int) -> Ray:
        """The looks on one side, outward."""
        origin = self.strengths.index(0.0)
        side = slice(origin, None) if sign > 0 else slice(origin, None, -1)
        distances, changes = np.abs(self.strengths[side]), np.array(self.changes[side], dtype=np.float64)
        filled = changes.copy()
        for index in range(len(filled) - 2, -1, -1):
            if not np.isfinite(filled[index]):
                filled[index] = filled[index + 1]
        return Ray(distances, changes, filled)

    def first_looks(self) -> list[float]:
        """The strengths that are looked at whatever the face does."""
        return [sign * share * self.ends[sign] for sign in SIGNS if self.ends[sign] > 0 for share in FIRST]

    def doubtful(
        self, sign: int, ray: Ray, directions: np.ndarray, levels: np.ndarray, passed: np.ndarray
    ) -> list[float]:
        """The knots of a ray at which one of the levels (T,), not `passed` (T,) before, may be passed unseen."""
        knots = []
        for knot in (share * self.ends[sign] for share in KNOTS if self.ends[sign] > 0):
            after = int(np.searchsorted(ray.distances, knot))
            around = ray.distances[after - 1 : after + 1]
            if around[0] * NEAR > knot or knot * NEAR > around[1]:
                continue
            inner, outer = ray.filled[after - 1 : after + 1]
            share, further = STEADY if self._is_steady(sign, ray, after) else TURNING
            highest = np.maximum(directions * inner, directions * outer)
            within = levels - highest <= share * abs(outer - inner) + further
            if not np.isfinite(inner + outer) or (within & (passed >= after)).any():
                knots.append(sign * knot)
        return knots

    def _is_steady(self, sign: int, ray: Ray, after: int) -> bool:
        """Whether the change rises, or falls, through an interval and the looks on both sides of it."""
        inner, outer = ray.filled[after - 1 : after + 1]
        step = outer - inner
        other = self.ray(-sign).filled
        before = ray.filled[after - 2] if after > 1 else (other[1] if len(other) > 1 else np.nan)
        further = ray.filled[after + 1] if after + 1 < len(ray.filled) else np.nan
        on = (inner - before) * step > 0 and (np.isnan(further) or (further - outer) * step > 0)
        return bool(on and abs(step) > SMALLEST_STEP)
