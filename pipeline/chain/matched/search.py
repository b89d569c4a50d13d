"""Where, along a method's strength, an attribute has changed by so much: a search that looks at few images.

For every face both rays of strengths, from 0 to the largest allowed below and above, are looked at coarsely at SHARES;
then every target (a face, a direction of change, a level) has the first interval on either ray in which the change
passes its level, the one of the smaller strength if there are two, so that a response that turns back is followed no
further than needed. The interval is narrowed by false position with the Illinois rule (Dowell & Jarratt, BIT 11, 1971),
every third time by halving, until the change is within the tolerance; targets that are, are looked at no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the largest strength, on either ray
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
    told: Told = lambda done, total: None,
) -> Crossings:
    """The smallest strengths at which the targets' changes have their levels, within the tolerance.

    lows (N,) <= 0 and highs (N,) >= 0 are the faces' largest strengths, starts (N,) their changes at strength 0.
    """
    search = _Search(respond, targets, *_first_intervals(respond, lows, highs, starts, targets), tolerance)
    told(1, rounds + 1)
    for done in range(rounds):
        if not search.open.any():
            break
        search.narrow(halve=done % HALVE_EVERY == HALVE_EVERY - 1)
        told(done + 2, rounds + 1)
    told(rounds + 1, rounds + 1)
    return search.result()


def _first_intervals(
    respond: Respond, lows: np.ndarray, highs: np.ndarray, starts: np.ndarray, targets: Targets
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ends (T,), inner and outer, of each target's interval, and what the changes miss its level by at each; or NaN."""
    rays = [np.outer(ends, (0.0, *SHARES)) for ends in (highs, lows)]
    knots = np.concatenate([ray[:, 1:] for ray in rays], axis=1)
    rows = np.repeat(np.arange(len(knots)), knots.shape[1])
    changes = respond(knots.ravel(), rows).reshape(knots.shape)
    found = []
    for ray, change in zip(rays, np.split(changes, 2, axis=1), strict=True):
        along = np.concatenate([starts[:, None], change], axis=1)[targets.rows]
        misses = targets.directions[:, None] * along - targets.levels[:, None]
        passed = ((misses[:, :-1] < 0) != (misses[:, 1:] < 0)) & np.isfinite(misses[:, :-1] + misses[:, 1:])
        first, each = passed.argmax(axis=1), np.arange(len(passed))
        own = ray[targets.rows]
        ends = np.stack([own[each, first], own[each, first + 1], misses[each, first], misses[each, first + 1]])
        found.append(np.where(passed.any(axis=1), ends, np.nan))
    above, below = found
    reach = [np.where(np.isnan(ends[1]), np.inf, np.abs(ends[1])) for ends in found]
    first_above = (reach[0] < reach[1]) | ((reach[0] == reach[1]) & (targets.directions > 0))
    inner, outer, inner_miss, outer_miss = np.where(first_above, above, below)
    return inner, outer, inner_miss, outer_miss


class _Search:
    """The intervals of all targets (T,), narrowed together so that images are made in full batches."""

    def __init__(
        self,
        respond: Respond,
        targets: Targets,
        inner: np.ndarray,
        outer: np.ndarray,
        inner_miss: np.ndarray,
        outer_miss: np.ndarray,
        tolerance: float,
    ) -> None:
        self.respond, self.targets, self.tolerance = respond, targets, tolerance
        self.ends = np.stack([inner, outer])
        self.misses = np.stack([inner_miss, outer_miss])
        self.weights = self.misses.copy()  # those of false position: the Illinois rule halves one that stays
        self.kept = np.full(len(inner), -1)  # which end stayed last time
        nearer = np.abs(self.misses).argmin(axis=0)
        each = np.arange(len(inner))
        self.best, self.best_miss = self.ends[nearer, each], self.misses[nearer, each]
        self.bracketed = np.isfinite(inner)

    @property
    def open(self) -> np.ndarray:
        """The targets that are still looked for, (T,) bool."""
        return self.bracketed & (np.abs(self.best_miss) > self.tolerance)

    def narrow(self, *, halve: bool) -> None:
        """Look at one strength inside every open interval, and keep the part in which the level is passed."""
        open_ = np.flatnonzero(self.open)
        ends, weights = self.ends[:, open_], self.weights[:, open_]
        if halve:
            tried = ends.mean(axis=0)
        else:
            tried = (ends[0] * weights[1] - ends[1] * weights[0]) / (weights[1] - weights[0])
        changes = self.respond(tried, self.targets.rows[open_])
        misses = self.targets.directions[open_] * changes - self.targets.levels[open_]
        misses = np.where(np.isfinite(misses), misses, self.misses[1, open_])  # no image there: as at the outer end
        moved = np.where((misses < 0) == (self.misses[0, open_] < 0), 0, 1)
        stays = 1 - moved
        self.ends[moved, open_] = tried
        self.misses[moved, open_] = self.weights[moved, open_] = misses
        again = open_[self.kept[open_] == stays]
        self.weights[1 - moved[self.kept[open_] == stays], again] /= 2
        self.kept[open_] = stays
        nearer = np.abs(misses) < np.abs(self.best_miss[open_])
        self.best[open_[nearer]], self.best_miss[open_[nearer]] = tried[nearer], misses[nearer]

    def result(self) -> Crossings:
        """What was found."""
        near = self.bracketed & (np.abs(self.best_miss) <= self.tolerance)
        why = np.where(near, "", np.where(self.bracketed, JUMP, WEAK))
        return Crossings(np.where(near, self.best, np.nan), why)
