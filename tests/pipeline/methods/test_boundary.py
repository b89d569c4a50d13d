"""The boundary is the authors' machine where that converges; where it does not, another's, and the facts say so."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.svm import SVC

from pipeline.attributes import NAMES, index_of
from pipeline.methods.boundary import between
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


def authors(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The unit normal of a machine run until it has converged, far below the default tolerance."""
    machine = SVC(kernel="linear", C=1.0, tol=1e-8).fit(
        np.concatenate([high, low]), np.repeat([1, 0], [len(high), len(low)])
    )
    assert machine.fit_status_ == 0
    return machine.coef_[0] / np.linalg.norm(machine.coef_[0])


def test_the_normal_is_the_authors_where_the_sides_can_be_told_apart() -> None:
    low, high = sides()
    found = between(low, high, 1.0)
    assert found.converged and found.solver == "LIBSVM"
    assert found.normal @ authors(low, high) >= 0.998
    assert found.above(high).all() and not found.above(low).any()
    assert np.linalg.norm(found.normal) == pytest.approx(1)


def test_the_other_solver_is_run_to_convergence_too() -> None:
    low, high = sides()
    found = between(low, high, 1.0, work=1)
    assert found.converged and found.solver == "LIBLINEAR"
    assert found.normal @ authors(low, high) >= 0.998


def test_a_wide_position_does_not_matter() -> None:
    low, high = sides()
    found, moved = between(low, high, 1.0), between(low + 5, high + 5, 1.0)
    assert found.normal @ moved.normal > 0.9999
    assert moved.above(high + 5).all() and not moved.above(low + 5).any()


def test_overlapping_sides_end_at_the_bound() -> None:
    low, high = overlapping()
    found = between(low, high, 100.0, work=600 * 50)
    assert found.facts() == {"solver": "LIBLINEAR", "iterations": found.iterations, "converged": True}


def test_the_facts_say_how_every_boundary_was_found() -> None:
    method = InterFaceGAN(chosen=0.1)
    method.fit(toy.fit_data(600))
    assert set(method.facts()["boundaries"]) == set(NAMES)
    for fact in method.facts()["boundaries"].values():
        assert fact["solver"] == "LIBSVM" and fact["converged"] and fact["iterations"] > 1


def test_a_boundary_that_neither_solver_finds_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.methods.boundary.PASSES", 1)
    monkeypatch.setattr(between, "__defaults__", (1,))
    method = InterFaceGAN(chosen=0.1)
    with caplog.at_level(logging.WARNING, "latentbench"):
        method.fit(toy.fit_data(600))
    assert not method.facts()["boundaries"]["age"]["converged"]
    assert "no solver converged on the boundaries of" in caplog.text and "age" in caplog.text
