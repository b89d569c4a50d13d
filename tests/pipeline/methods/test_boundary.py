"""The boundary is the optimum of the authors' machine, whether the sides can be told apart or overlap."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.svm import SVC

from pipeline.attributes import EVALUATED, index_of
from pipeline.methods.boundary import Boundary, _Problem, between
from pipeline.methods.interfacegan import InterFaceGAN, choose
from tests.worlds import toy


def sides(per_side: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Codes (60, 512) of the lowest and of the highest age."""
    w = toy.draw_w(1000)
    low, high, _ = choose(toy.values_of(w)[:, index_of("age")].numpy(), per_side)
    return w[low].numpy(), w[high].numpy()


def overlapping(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    low, high = rng.standard_normal((2, count, 20)).astype(np.float32)
    return low, high + np.float32(0.1)


def authors(low: np.ndarray, high: np.ndarray, c: float = 1.0) -> np.ndarray:
    """The unit normal of a machine run until it has converged, far below the default tolerance."""
    machine = SVC(kernel="linear", C=c, tol=1e-8).fit(
        np.concatenate([high, low]), np.repeat([1, 0], [len(high), len(low)])
    )
    assert machine.fit_status_ == 0
    return machine.coef_[0] / np.linalg.norm(machine.coef_[0])


def objective(points: np.ndarray, side: np.ndarray, normal: np.ndarray, intercept: float, c: float) -> float:
    return float(normal @ normal / 2 + c * np.maximum(0.0, 1 - side * (points @ normal + intercept)).sum())


def above(boundary: Boundary, points: np.ndarray) -> np.ndarray:
    return (points - boundary.centre) @ boundary.normal + boundary.intercept > 0


def test_the_normal_is_the_authors_where_the_sides_can_be_told_apart() -> None:
    low, high = sides()
    boundary = between(low, high, 1.0)
    assert boundary.converged and boundary.normal @ authors(low, high) > 0.999999
    assert above(boundary, high).all() and not above(boundary, low).any()
    assert np.linalg.norm(boundary.normal) == pytest.approx(1)


@pytest.mark.parametrize("c", [0.01, 1.0, 10.0])
def test_the_normal_is_the_authors_where_the_sides_overlap(c: float) -> None:
    low, high = overlapping()
    boundary = between(low, high, c)
    assert boundary.converged and boundary.normal @ authors(low, high, c) > 0.999999
    assert 0.4 < above(boundary, high).mean() < 0.9


@pytest.mark.parametrize("count", [50, 400])
def test_no_plane_has_a_lower_objective(count: int) -> None:
    """At the optimum each nearby plane is worse, with more rows than coordinates and with fewer."""
    rng = np.random.default_rng(7)
    low, high = rng.standard_normal((2, count, 120)) + np.array([[[0.0]], [[0.2]]])
    points, side = np.concatenate([high, low]), np.repeat([1.0, -1.0], count)
    rows = np.concatenate([points, np.ones((len(points), 1))], axis=1) * side[:, None]
    problem = _Problem(rows, 1.0)
    while not problem.solved():
        problem.advance()
    least = objective(points, side, problem.plane[:-1], problem.plane[-1], 1.0)
    for _ in range(50):
        step = 1e-2 * rng.standard_normal(121)
        moved = problem.plane + step
        assert objective(points, side, moved[:-1], moved[-1], 1.0) > least


def test_a_wide_position_does_not_matter() -> None:
    low, high = sides()
    found, moved = between(low, high, 1.0), between(low + 5, high + 5, 1.0)
    assert found.normal @ moved.normal > 0.9999
    assert above(moved, high + 5).all() and not above(moved, low + 5).any()


def test_the_facts_say_how_every_boundary_was_found() -> None:
    method = InterFaceGAN(chosen=0.1)
    method.fit(toy.fit_data(600))
    assert set(method.facts()["boundaries"]) == set(EVALUATED.values())
    for fact in method.facts()["boundaries"].values():
        assert fact["solver"] == "interior point" and fact["converged"] and fact["iterations"] > 1


def test_a_boundary_that_did_not_converge_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(between, "__defaults__", (1,))
    method = InterFaceGAN(chosen=0.1)
    with caplog.at_level(logging.WARNING, "latentbench"):
        method.fit(toy.fit_data(600))
    assert not method.facts()["boundaries"]["age"]["converged"]
    assert "did not converge" in caplog.text and "age" in caplog.text
