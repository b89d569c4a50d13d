"""Where, along a method's strength, an attribute has changed by so much: a search that looks at few images.

For every face both rays of strengths, from 0 to the largest allowed below and above, are looked at coarsely; then every
target (a face, a direction of change, a level) has the first interval on either ray in which the change passes its
level, the one of the smaller strength if there are two, so that a response that turns back is followed no further than
needed. All looks at a face, of whatever target, are in its response (`pipeline.chain.matched.lines`), and every round
reads the intervals from it again: a look for one level narrows the intervals of the others.

Each round looks, in every interval, at one strength: where a monotone curve through all looks (PCHIP; Fritsch &
Butland, SIAM J. Sci. Stat. Comput. 5, 1984) has the middle one of the levels sought in it; every third time for a
target it is the middle of the interval. A target whose change is within the tolerance is looked for no more.

Coarsely means: 1/4 and 1 of the end of a ray always; 1/16, 1/8 and 1/2 only where a level that is not passed before may
be passed unseen. It may where the change at the looks on both sides comes near to the level: within .1 standard
deviations where the change rises or falls on from look to look; within .3 and half of the two looks' difference where
it turns. A knot that has a look near it is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.chain.matched.lines import SIGNS, Ray, Response

DIRECTIONS = (1, -1)
HALVE_EVERY = 3
WEAK, JUMP = "weak", "jump"

Respond = Callable[[np.ndarray, np.ndarray], np.ndarray]  # strengths (M,), rows (M,) of faces -> signed changes (M,)
Told = Callable[[int, int], None]  # rounds done, rounds at most


@dataclass(frozen=True)
class Targets:
    """Every face, direction and level, in this order: each (T,). `rows` are places of faces, 0 to N - 1."""

    rows: np.ndarray
    directions: np.ndarray
    levels: np.ndarray

    @classmethod
    def of(cls, faces: int, levels: tuple[float, ...]) -> Targets:
        """The targets of so many faces."""
        row, direction, level = np.meshgrid(np.arange(faces), DIRECTIONS, levels, indexing="ij")
        return cls(row.ravel(), direction.ravel(), level.ravel())


@dataclass(frozen=True)
class Crossings:
    """Per target (T,): the signed strength, NaN where there is none, and why there is none ("" where there is)."""

    strengths: np.ndarray
    unreached: np.ndarray

    @property
    def reached(self) -> np.ndarray:
        """Whether the change is within the tolerance of the level, (T,) bool."""
        return np.isfinite(self.strengths)


def find_crossings(
    respond: Respond,
    lows: np.ndarray,
    highs: np.ndarray,
    starts: np.ndarray,
    targets: Targets,
    *,
    rounds: int,
    tolerance: float,
    sought: np.ndarray | None = None,
    told: Told = lambda done, total: None,
) -> Crossings:
    """The smallest strengths at which the targets' changes have their levels, within the tolerance.

    lows (N,) <= 0 and highs (N,) >= 0 are the faces' largest strengths, starts (N,) their changes at strength 0. Each
    target has at most `rounds` looks of its own. Those that are not `sought` (T,) bool are weak and cost nothing.
    """
    search = _Search(respond, lows, highs, starts, targets, rounds, tolerance, sought)
    search.look(search.first_looks())
    done = 0
    while looks := search.next_looks():
        done += 1
        told(min(done, rounds), rounds + 1)
        search.look(looks)
    told(rounds + 1, rounds + 1)
    return Crossings(search.strengths, search.unreached)


Look = tuple[int, float]  # a face's row, a strength


class _Search:
    """The lines of all faces, looked at together so that images are made in full batches."""

    def __init__(
        self,
        respond: Respond,
        lows: np.ndarray,
        highs: np.ndarray,
        starts: np.ndarray,
        targets: Targets,
        rounds: int,
        tolerance: float,
        sought: np.ndarray | None,
    ) -> None:
        count = len(targets.rows)
        self.respond, self.targets, self.rounds, self.tolerance = respond, targets, rounds, tolerance
        self.lines = [Response(*map(float, ends)) for ends in zip(lows, highs, starts, strict=True)]
        wanted = np.ones(count, bool) if sought is None else sought
        self.places = [np.flatnonzero(wanted & (targets.rows == row)) for row in range(len(lows))]
        self.tries = np.zeros(count, int)
        self.strengths = np.full(count, np.nan)
        self.unreached = np.full(count, WEAK, dtype=object)

    def look(self, looks: list[Look]) -> None:
        """Make the images of these looks and note what they show."""
        if not looks:
            return
        rows, strengths = np.array([row for row, _ in looks]), np.array([strength for _, strength in looks])
        for (row, strength), change in zip(looks, self.respond(strengths, rows), strict=True):
            self.lines[row].add(strength, float(change))

    def first_looks(self) -> list[Look]:
        """The looks that every face gets of which anything is sought."""
        return [(row, s) for row, line in enumerate(self.lines) if len(self.places[row]) for s in line.first_looks()]

    def next_looks(self) -> list[Look]:
        """Where to look next, after everything seen was judged again; empty at the end."""
        return [(row, s) for row, places in enumerate(self.places) if len(places) for s in self._of_face(row, places)]

    def _of_face(self, row: int, places: np.ndarray) -> list[float]:
        """The next strengths of one face, and the state of its targets at `places` (t,)."""
        line, directions, levels = self.lines[row], self.targets.directions[places], self.targets.levels[places]
        rays = [line.ray(sign) for sign in SIGNS]
        passed = [ray.passed(directions, levels) for ray in rays]
        strengths: set[float] = set()
        for sign, ray, intervals in zip(SIGNS, rays, passed, strict=True):
            strengths.update(line.doubtful(sign, ray, directions, levels, intervals))
        open_: dict[tuple[int, int], list[tuple[float, int]]] = {}
        for place, direction, level, *own in zip(places, directions, levels, *passed, strict=True):
            side = _nearer(rays, own, direction * level, direction)
            if side is None:
                self._set(place, np.nan, WEAK)
                continue
            found = self._found(rays[side], own[side], direction, level)
            self._set(place, SIGNS[side] * found, JUMP if np.isnan(found) else "")
            if np.isnan(found) and self.tries[place] < self.rounds:
                open_.setdefault((side, own[side]), []).append((float(direction * level), int(place)))
        for (side, interval), sought in open_.items():
            change, place = sorted(sought)[len(sought) // 2]
            strengths.add(SIGNS[side] * self._tried(rays[side], interval, change, place))
        return sorted(strengths)

    def _set(self, place: int, strength: float, why: str) -> None:
        self.strengths[place], self.unreached[place] = strength, why

    def _found(self, ray: Ray, interval: int, direction: int, level: float) -> float:
        """The end of an interval whose change is nearest to the level; NaN if it is not within the tolerance."""
        misses = np.abs(direction * ray.changes[interval : interval + 2] - level)
        misses = np.where(np.isfinite(misses), misses, np.inf)
        nearest = int(misses.argmin())
        return float(ray.distances[interval + nearest]) if misses[nearest] <= self.tolerance else np.nan

    def _tried(self, ray: Ray, interval: int, change: float, place: int) -> float:
        """The distance at which to look for a target next."""
        self.tries[place] += 1
        if self.tries[place] % HALVE_EVERY == 0:
            return float(ray.distances[interval : interval + 2].mean())
        return ray.expected(interval, change)


def _nearer(rays: list[Ray], intervals: list[int], change: float, direction: int) -> int | None:
    """The ray, 0 or 1, that passes a change at the smaller strength; the one of the direction's sign if both do."""
    ways = [side for side in (0, 1) if intervals[side] < len(rays[side].distances) - 1]
    if not ways:
        return None
    preferred = 0 if direction > 0 else 1
    return min(ways, key=lambda side: (rays[side].distance_at(intervals[side], change), side != preferred))
