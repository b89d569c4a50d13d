"""InterFaceGAN finds the toy's known directions, and its conditions are projected out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.errors import StageError
from pipeline.methods.interfacegan import InterFaceGAN, choose, project_out
from tests.worlds import toy


@pytest.fixture(scope="module")
def method() -> InterFaceGAN:
    learned = InterFaceGAN(chosen=0.05, attributes="all")
    learned.fit(toy.fit_data(4000))
    return learned


def test_the_known_directions_are_found(method: InterFaceGAN) -> None:
    cosines = (method.directions_ * toy.DIRECTIONS).sum(dim=1)
    assert float(cosines.min()) > 0.95, "positive: the normal points to higher values"


def test_normals_have_unit_norm(method: InterFaceGAN) -> None:
    assert torch.allclose(method.directions_.norm(dim=1), torch.ones(len(NAMES)), atol=1e-6)


@pytest.mark.parametrize("attribute", EVALUATED)
def test_positive_strengths_raise_the_score(method: InterFaceGAN, attribute: str) -> None:
    w, domain, column = toy.draw_w(20, seed=9), toy.load(), index_of(attribute)
    ws, values = domain.generator.mapping.broadcast(w), toy.values_of(w)
    scores = []
    for strength in (-2.0, 0.0, 2.0):
        vectors = torch.zeros(20, len(NAMES))
        vectors[:, column] = strength
        scores.append(domain.scorer_b(domain.generator.synthesis(method.edit(ws, vectors, values)))[:, column])
    assert bool((scores[0] < scores[1]).all() and (scores[1] < scores[2]).all())


def test_accuracies_are_told(method: InterFaceGAN) -> None:
    facts = method.facts()
    assert set(facts["boundaries"]) == set(NAMES)
    for boundary in facts["boundaries"].values():
        assert boundary["trained"] and boundary["positives"] == boundary["negatives"] == 200
        assert boundary["validation_accuracy"] > 0.95
        assert 0.5 < boundary["remaining_accuracy"] <= 1.0
        assert boundary["highest_negative"] < boundary["lowest_positive"]
    cosines = np.array(facts["cosines"])
    assert cosines.shape == (8, 8) and np.allclose(np.diag(cosines), 1, atol=1e-3)


def test_the_highest_and_lowest_values_are_chosen() -> None:
    low, high, between = choose(np.array([0.5, 0.1, 0.9, 0.3, 0.7, 0.6]), 2)
    assert low.tolist() == [1, 3] and high.tolist() == [4, 2] and between.tolist() == [0, 5]


def test_equal_values_are_taken_by_their_place() -> None:
    low, high, between = choose(np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0]), 2)
    assert low.tolist() == [0, 2] and high.tolist() == [3, 5] and between.tolist() == [4, 1]


def test_one_value_never_trains_both_sides() -> None:
    rare = np.zeros(10)
    rare[4] = 1.0
    low, high, _ = choose(rare, 3)
    assert low.tolist() == [0, 1, 2] and high.tolist() == [4]
    low, high, _ = choose(1 - rare, 3)
    assert low.tolist() == [4] and set((1 - rare)[high]) == {1.0}
    low, high, _ = choose(np.full(10, 0.3), 3)
    assert len(low) == 0 or len(high) == 0


def test_a_constant_attribute_gets_no_direction() -> None:
    data = toy.fit_data(400)
    data.values[:, index_of("headwear")] = 0.25
    learned = InterFaceGAN(chosen=0.2, conditions="others", attributes="age, headwear")
    learned.fit(data)
    assert not learned.directions_[index_of("headwear")].any()
    assert not learned.facts()["boundaries"]["headwear"]["trained"]
    assert learned.directions_[index_of("age")].any()


def test_chosen_is_a_share_or_a_number_and_at_most_half() -> None:
    def used(chosen: float) -> int:
        return InterFaceGAN(chosen=chosen)._per_side(100)

    assert [used(0.02), used(0.7), used(1), used(7), used(1000)] == [2, 50, 50, 7, 50]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_projection_is_onto_the_orthogonal_complement(count: int) -> None:
    rng = np.random.default_rng(1)
    normal, conditions = rng.standard_normal(512), rng.standard_normal((count, 512))
    conditions /= np.linalg.norm(conditions, axis=1, keepdims=True)
    normal /= np.linalg.norm(normal)
    found = project_out(normal, conditions)
    basis = np.linalg.qr(conditions.T)[0]
    expected = normal - basis @ (basis.T @ normal)
    assert np.allclose(found, expected / np.linalg.norm(expected), atol=1e-12)
    assert np.allclose(conditions @ found, 0, atol=1e-12)


def test_projection_is_the_authors_closed_form() -> None:
    rng = np.random.default_rng(2)
    n, one, two = (row / np.linalg.norm(row) for row in rng.standard_normal((3, 512)))
    single = n - (n @ one) * one
    assert np.allclose(project_out(n, one[None]), single / np.linalg.norm(single))
    cos12, cos1, cos2 = one @ two, n @ one, n @ two
    alpha, beta = (cos1 - cos2 * cos12) / (1 - cos12**2), (cos2 - cos1 * cos12) / (1 - cos12**2)
    double = n - alpha * one - beta * two
    assert np.allclose(project_out(n, np.stack([one, two])), double / np.linalg.norm(double))


def test_nothing_left_after_projection_is_an_error() -> None:
    conditions = np.eye(4)[:2]
    with pytest.raises(StageError, match="leaves nothing"):
        project_out(np.array([0.6, 0.8, 0.0, 0.0]), conditions)


@pytest.mark.parametrize(("conditions", "names"), [("gender, glasses", ("gender", "glasses")), ("others", EVALUATED)])
def test_conditions_are_projected_out_of_every_normal(
    method: InterFaceGAN, conditions: str, names: tuple[str, ...]
) -> None:
    conditioned = InterFaceGAN(chosen=0.05, conditions=conditions, attributes="all")
    conditioned.fit(toy.fit_data(4000))
    plain = method.directions_.double()
    for column in range(len(NAMES)):
        others = [index_of(name) for name in names if index_of(name) != column]
        assert float((plain[others] @ conditioned.directions_[column].double()).abs().max()) < 1e-6
    assert torch.allclose(conditioned.directions_.norm(dim=1), torch.ones(len(NAMES)), atol=1e-6)
