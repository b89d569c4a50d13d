"""RFM's directions are the optimum of the L1 logistic regression on flattened codes, in the first layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pipeline.attributes import NAMES, index_of
from pipeline.methods.rfm import RFM, divide
from tests.worlds import toy


def small(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Codes of 12 coordinates, and noisy values that three of them make."""
    rng = np.random.default_rng(4)
    w = rng.standard_normal((count, 12)).astype(np.float32)
    values = 1 / (1 + np.exp(-(2 * w[:, 0] - w[:, 1] + 0.5 * w[:, 2] + rng.standard_normal(count))))
    return w, values.astype(np.float32)


def test_coefficients_meet_the_optimality_conditions() -> None:
    """Of C sum log(1 + exp(-y (w b + b0))) + |b|: the first term's gradient is -sign(b), or at most 1 where b is 0."""
    w, values = small()
    b, facts = RFM(c=0.05, iterations=5000)._regression(w, values, 0)
    has = values >= 0.5
    intercept = 0.0
    for _ in range(200):  # Newton's, for the intercept that is not kept
        p = 1 / (1 + np.exp(-(w @ b + intercept)))
        intercept -= (p - has).sum() / (p * (1 - p)).sum()
    gradient = 0.05 * w.T @ (1 / (1 + np.exp(-(w @ b + intercept))) - has)
    zero = b == 0
    assert zero.any() and not zero.all() and facts["converged"] and facts["non_zero"] == int((~zero).sum())
    assert np.allclose(gradient[~zero], -np.sign(b[~zero]), atol=0.01)
    assert np.abs(gradient[zero]).max() <= 1.01
    assert facts["accuracy"] == pytest.approx(float(((w @ b + intercept > 0) == has).mean()), abs=0.02)


def test_the_flattened_regression_is_the_same_in_every_layer() -> None:
    """The authors' form: all layers side by side. Its coefficients are ours, divided evenly."""
    w, values = small()
    single, _ = RFM(c=0.2, iterations=5000)._regression(w, values, 0)
    flat = LogisticRegression(l1_ratio=1.0, solver="saga", C=0.2, max_iter=5000, tol=1e-5, random_state=1)
    flat.fit(np.tile(w, (1, 4)), values >= 0.5)
    layers = flat.coef_.reshape(4, 12)
    assert np.allclose(layers, layers[0], atol=1e-6)
    assert np.allclose(layers[0], single / 4, atol=2e-3)


def test_the_facts_say_whether_it_converged() -> None:
    w, values = small()
    _, stopped = RFM(c=0.05, iterations=2)._regression(w, values, 0)
    _, ended = RFM(c=0.05, iterations=5000)._regression(w, values, 0)
    assert (stopped["converged"], stopped["iterations"]) == (False, 2)
    assert ended["converged"] and 2 < ended["iterations"] < 5000


@pytest.fixture(scope="module")
def method() -> RFM:
    learned = RFM(samples=300, iterations=15, c=0.1, attributes="all")
    learned.fit(toy.fit_data(400))
    return learned


def test_directions_raise_their_attribute(method: RFM) -> None:
    along = (method.directions_ @ toy.DIRECTIONS.T).diagonal()
    assert bool((along > 0).all())
    others = (method.directions_ @ toy.DIRECTIONS.T)[index_of("age")]
    assert int(others.argmax()) == index_of("age")


def test_edits_touch_the_first_layers_alone(method: RFM) -> None:
    faces, strengths = toy.faces(3), torch.zeros(3, len(NAMES))
    strengths[:, index_of("age")] = torch.tensor([-20.0, 1.0, 300.0])
    step = method.edit(faces.ws, strengths, faces.values) - faces.ws
    expected = strengths[:, index_of("age"), None] * method.directions_[index_of("age")]
    assert all(torch.allclose(step[:, layer], expected, atol=1e-4) for layer in range(3))
    assert not step[:, 3:].any()


@pytest.mark.parametrize("depth", [1, 2, 3, 10, 18])
def test_every_depth_is_edited(method: RFM, depth: int) -> None:
    ws, strengths = torch.zeros(2, depth, 512), torch.ones(2, len(NAMES))
    touched = method.edit(ws, strengths, torch.zeros(2, len(NAMES))).abs().sum(dim=(0, 2)) > 0
    assert touched.tolist() == [layer < 3 for layer in range(depth)]


def test_small_coefficients_are_cut() -> None:
    first = {"attributes": NAMES[:2], "evaluated": ()}
    whole = RFM(samples=300, iterations=15, c=0.1)
    whole.fit(toy.fit_data(400, **first))
    sizes = whole.directions_[0].abs()
    clip = float(sizes[sizes > 0].median())
    cut = RFM(samples=300, iterations=15, c=0.1, clip=clip)
    cut.fit(toy.fit_data(400, **first))
    assert torch.equal(cut.directions_, torch.where(whole.directions_.abs() > clip, whole.directions_, 0.0))
    assert 0 < cut.facts()["regressions"][NAMES[0]]["kept"] < whole.facts()["regressions"][NAMES[0]]["kept"]


def test_rare_attributes_are_cut_at_the_middle_and_constant_ones_get_no_direction() -> None:
    assert divide(np.linspace(0.0, 1.0, 100))[0] == 0.5
    cut, has = divide(np.linspace(0.0, 0.4, 101))
    assert cut == pytest.approx(0.2) and has.sum() == 51
    data = toy.fit_data(200)
    data.values[:, index_of("headwear")] = 0.25
    learned = RFM(iterations=3, attributes="age, headwear")
    learned.fit(data)
    assert not learned.directions_[index_of("headwear")].any() and learned.directions_[index_of("age")].any()
    assert not learned.facts()["regressions"]["headwear"]["trained"]
