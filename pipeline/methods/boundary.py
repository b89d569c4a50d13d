"""The linear boundary between two sides: a support vector machine, computed as InterFaceGAN's authors do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

WORK = 10**9  # rows x iterations after which LIBSVM stops: 5 to 10 s on one core
TOLERANCE = 1e-6  # of LIBLINEAR's gradient, relative; at scikit-learn's 1e-4 the normal is up to 25 degrees off
PASSES = 10_000  # of LIBLINEAR, at most


@dataclass(frozen=True)
class Boundary:
    """A point x is on the upper side where normal . (x - centre) + intercept > 0; `normal` (512,) has unit norm."""

    normal: np.ndarray
    intercept: float
    centre: np.ndarray
    solver: str
    iterations: int
    converged: bool

    def above(self, points: np.ndarray) -> np.ndarray:
        """Which points (N, 512) are on the upper side, (N,) bool."""
        return (points - self.centre) @ self.normal + self.intercept > 0

    def facts(self) -> dict[str, Any]:
        """How the boundary was computed: `solver`, `iterations`, `converged`."""
        return {"solver": self.solver, "iterations": self.iterations, "converged": self.converged}


def between(low: np.ndarray, high: np.ndarray, c: float, work: int = WORK) -> Boundary:
    """The boundary of a linear support vector machine between rows low (N, 512) and high (M, 512).

    The hinge loss by LIBSVM, scikit-learn's `SVC(kernel="linear", C=c)`. Where LIBSVM has not converged after `work`
    rows x iterations, because the sides overlap widely, LIBLINEAR minimises the squared hinge loss in its primal form.
    LIBLINEAR regularises the intercept, so the mean of the points is subtracted first. Both give the same bits on any
    number of threads.

    >>> import numpy as np
    >>> boundary = between(np.array([[0.0, 0.0]]), np.array([[2.0, 0.0]]), c=1.0)
    >>> boundary.normal, boundary.above(np.array([[0.9, 5.0], [1.1, 5.0]]))
    (array([1., 0.]), array([False,  True]))
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC, LinearSVC

    points = np.concatenate([high, low])
    sides = np.repeat([1, 0], [len(high), len(low)])
    centre = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` says so
        machine = SVC(kernel="linear", C=c, max_iter=max(1, work // len(points))).fit(points - centre, sides)
        solver, iterations, converged = "LIBSVM", int(machine.n_iter_[0]), machine.fit_status_ == 0
        if not converged:
            machine = LinearSVC(C=c, dual=False, tol=TOLERANCE, max_iter=PASSES).fit(points - centre, sides)
            solver, iterations = "LIBLINEAR", int(machine.n_iter_)
            converged = iterations < PASSES
    length = float(np.linalg.norm(machine.coef_[0]))
    normal = machine.coef_[0].astype(np.float64) / length
    return Boundary(normal, float(machine.intercept_[0]) / length, centre, solver, iterations, bool(converged))
