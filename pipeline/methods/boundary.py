"""The linear boundary between two sides: the support vector machine of InterFaceGAN's authors, at its optimum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

STEPS = 100  # of Newton's method, at most; it takes 15 to 40
GAP = 1e-9  # between the objective and its lower bound, as a share of the objective, at which the optimum is reached
BEFORE_BOUND = 0.995  # share of the way to the nearest bound that a step goes
# Smallest stiffness of a row, as a share of the largest squared length of a row: below, rounding would hide the 1 that
# each coordinate of the normal adds to the curvature.
LEAST_STIFFNESS = 1e-13
BATCH = 8192  # rows whose weighted copy is in memory at once


@dataclass(frozen=True)
class Boundary:
    """A point x is on the upper side where normal . (x - centre) + intercept > 0; `normal` (512,) has unit norm."""

    normal: np.ndarray
    intercept: float
    centre: np.ndarray
    iterations: int
    converged: bool

    def facts(self) -> dict[str, Any]:
        """How the boundary was computed: `solver`, `iterations`, `converged`."""
        return {"solver": "interior point", "iterations": self.iterations, "converged": self.converged}


def between(low: np.ndarray, high: np.ndarray, c: float, steps: int = STEPS) -> Boundary:
    """The boundary of a linear support vector machine between rows low (N, 512) and high (M, 512).

    The hinge loss with a free intercept, as scikit-learn's `SVC(kernel="linear", C=c)` has it: minimise
    |normal|^2 / 2 + c sum(max(0, 1 - side (normal . x + intercept))). LIBSVM changes two multipliers at a time, and
    hardly ends on thousands of rows whose sides overlap. The interior-point method of Ferris & Munson ("Interior-Point
    Methods for Massive Support Vector Machines", SIAM Journal on Optimization 2002) with the predictor and corrector of
    Mehrotra takes a few tens of Newton steps on any sides, each with one matrix (513, 513) to decompose. `steps` is the
    most that it takes; a boundary that needs more has `converged` false.

    >>> import numpy as np
    >>> boundary = between(np.array([[0.0, 0.0]]), np.array([[2.0, 0.0]]), c=1.0)
    >>> boundary.normal.round(6), boundary.centre, boundary.converged
    (array([1., 0.]), array([1., 0.], dtype=float32), True)
    """
    import numpy as np

    points = np.concatenate([high, low])
    centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    points = (points - centre).astype(np.float64)
    basis = None
    if len(points) < points.shape[1]:  # the normal lies in their span, which has fewer dimensions
        basis, triangle = np.linalg.qr(points.T)
        points = triangle.T
    rows = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    rows[len(high) :] *= -1.0  # each row times its side
    problem = _Problem(rows, c)
    iterations = 0
    while not problem.solved() and iterations < steps:
        problem.advance()
        iterations += 1
    normal = problem.plane[:-1] if basis is None else basis @ problem.plane[:-1]
    length = float(np.linalg.norm(normal))
    intercept = float(problem.plane[-1]) / length
    return Boundary(normal / length, intercept, centre, iterations, problem.solved())


class _Problem:
    """The point that Newton's method has reached: a plane, and per row its multiplier, room, surplus and shortfall.

    rows (N, D + 1): points times their sides, and the sides. plane (D + 1,): normal and intercept. A row's margin is
    rows . plane = 1 + surplus - shortfall, and its room c - multiplier. At the optimum multiplier x surplus = 0 and
    room x shortfall = 0, with all four at least 0.
    """

    def __init__(self, rows: np.ndarray, c: float) -> None:
        import numpy as np

        self.rows, self.c = rows, c
        self.least_stiffness = LEAST_STIFFNESS * float(np.einsum("nd,nd->n", rows, rows).max())
        self.plane = np.zeros(rows.shape[1])
        self.multiplier, self.room = np.full(len(rows), c / 2), np.full(len(rows), c / 2)
        self.surplus, self.shortfall = np.ones(len(rows)), np.ones(len(rows))
        self._look()

    def _look(self) -> None:
        """The residuals of the two linear equations at the current point."""
        self.margins = self.rows @ self.plane
        self.pull = self.multiplier @ self.rows  # equals the normal at the optimum, and 0 for the intercept
        self.missing = self.margins - 1.0 + self.shortfall - self.surplus
        self.imbalance = self.pull.copy()
        self.imbalance[:-1] -= self.plane[:-1]

    def solved(self) -> bool:
        """Whether the objective is within GAP of the dual's, which no plane's objective is below."""
        import numpy as np

        objective = self.plane[:-1] @ self.plane[:-1] / 2 + self.c * np.maximum(1.0 - self.margins, 0.0).sum()
        bound = self.multiplier.sum() - self.pull[:-1] @ self.pull[:-1] / 2
        balanced = abs(self.pull[-1]) <= GAP * self.multiplier.sum()
        return bool(balanced and objective - bound <= GAP * objective)

    def advance(self) -> None:
        """One step of predictor and corrector."""
        import numpy as np

        stiffness = np.maximum(self.surplus / self.multiplier + self.shortfall / self.room, self.least_stiffness)
        factor = self._curvature(1.0 / stiffness)
        predicted = self._direction(factor, stiffness, 0.0, 0.0)
        whole = self._gap(predicted, self._longest(predicted))
        now = self._gap(predicted, 0.0)
        aim = now * (whole / now) ** 3 / (2 * len(self.rows))
        _, change, surplus, shortfall = predicted
        corrected = self._direction(factor, stiffness, aim - change * surplus, aim + change * shortfall)
        length = min(1.0, BEFORE_BOUND * self._longest(corrected))
        plane, change, surplus, shortfall = corrected
        self.plane = self.plane + length * plane
        self.multiplier = self.multiplier + length * change
        self.room = self.room - length * change
        self.surplus = self.surplus + length * surplus
        self.shortfall = self.shortfall + length * shortfall
        self._look()

    def _curvature(self, weights: np.ndarray) -> Any:
        """The Cholesky factor of the plane's curvature, rows^T weights rows and 1 for each coordinate of the normal."""
        import numpy as np
        from scipy.linalg import cho_factor

        size = self.rows.shape[1]
        matrix = np.zeros((size, size))
        for start in range(0, len(weights), BATCH):
            part = slice(start, start + BATCH)
            scaled = self.rows[part] * np.sqrt(weights[part])[:, None]
            matrix += scaled.T @ scaled
        matrix[np.arange(size - 1), np.arange(size - 1)] += 1.0
        return cho_factor(matrix, check_finite=False)

    def _direction(self, factor: Any, stiffness: np.ndarray, surplus_aim: Any, shortfall_aim: Any) -> tuple[Any, ...]:
        """Newton's change of plane, multiplier, surplus and shortfall towards these products of the pairs."""
        from scipy.linalg import cho_solve

        surplus = surplus_aim / self.multiplier - self.surplus
        shortfall = shortfall_aim / self.room - self.shortfall
        force = self.missing + shortfall - surplus
        plane = cho_solve(factor, self.imbalance - (force / stiffness) @ self.rows, check_finite=False)
        change = -(self.rows @ plane + force) / stiffness
        surplus = surplus - self.surplus / self.multiplier * change
        shortfall = shortfall + self.shortfall / self.room * change
        return plane, change, surplus, shortfall

    def _pairs(self, direction: tuple[Any, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What must stay above 0, each with its change."""
        _, change, surplus, shortfall = direction
        yield self.multiplier, change
        yield self.surplus, surplus
        yield self.room, -change
        yield self.shortfall, shortfall

    def _gap(self, direction: tuple[Any, ...], length: float) -> float:
        """The sum of the products of the pairs after a step of this length."""
        multiplier, surplus, room, shortfall = (value + length * change for value, change in self._pairs(direction))
        return float(multiplier @ surplus + room @ shortfall)

    def _longest(self, direction: tuple[Any, ...]) -> float:
        """The longest step, at most 1, after which nothing is below 0."""
        longest = 1.0
        for value, change in self._pairs(direction):
            falling = change < 0
            longest = min(longest, float((value[falling] / -change[falling]).min(initial=1.0)))
        return longest
