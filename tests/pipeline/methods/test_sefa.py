"""SeFa factorises the affine weights of a layer group, and edits that group alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.attributes import NAMES
from pipeline.errors import StageError
from pipeline.methods.sefa import SeFa, factorise, stacked
from stylegan.generator import Generator
from tests.worlds import toy

LAYERS = 6


@pytest.fixture(scope="module")
def generator() -> Generator:
    """16 px, six codes; its affine maps answer to some directions more than to others."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        made = Generator(resolution=16, channels={4: 24, 8: 20, 16: 16}, mapping_layers=2)
        gains = torch.linspace(3, 0.1, 512)
        for _, _, layer in made.synthesis.styled_layers():
            layer.affine.weight.data *= gains
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def weight() -> Tensor:
    return torch.randn(70, 40, generator=torch.Generator().manual_seed(3)) * torch.linspace(2, 0.2, 40)


@pytest.fixture(scope="module")
def method() -> SeFa:
    found = SeFa(directions=len(NAMES), groups="all, 0-1")
    found.fit(toy.fit_data(200))
    return found


def strengths(column: int, strength: float, count: int) -> Tensor:
    vectors = torch.zeros(count, len(NAMES))
    vectors[:, column] = strength
    return vectors


def test_eigenvectors_are_sorted_unit_and_orthogonal(weight: Tensor) -> None:
    values, vectors = factorise(weight)
    assert bool((values.diff() <= 0).all() and (values >= 0).all())
    assert torch.allclose(vectors @ vectors.T, torch.eye(40, dtype=torch.float64), atol=1e-10)
    scaled = torch.nn.functional.normalize(weight.double(), dim=1)
    product = scaled.T @ scaled
    assert torch.allclose(product, product.T, atol=1e-12)
    assert torch.allclose(product @ vectors.T, vectors.T * values, atol=1e-10), "A^T A n = lambda n"
    assert torch.allclose((scaled @ vectors.T).square().sum(dim=0), values, atol=1e-10), "||A n||^2 = lambda"
    assert float(values.sum()) == pytest.approx(70), "each of 70 channels has unit norm"


def test_it_is_the_authors_formula(weight: Tensor) -> None:
    """utils.py of genforce/sefa, with its solver's output put into order."""
    columns = weight.numpy().T
    columns = columns / np.linalg.norm(columns, axis=0, keepdims=True)
    their_values, their_vectors = np.linalg.eig(columns.dot(columns.T))
    order = np.argsort(-their_values.real)
    values, vectors = factorise(weight)
    assert np.allclose(values, their_values.real[order], atol=1e-4)
    for ours, theirs in zip(vectors[:10].numpy(), their_vectors.real.T[order][:10], strict=True):
        assert abs(ours @ theirs) == pytest.approx(1, abs=1e-3)


def test_gains_of_layers_and_channels_do_not_matter(weight: Tensor) -> None:
    gains = torch.linspace(0.01, 50, 70)[:, None]
    assert torch.allclose(factorise(weight * gains)[0], factorise(weight)[0], atol=1e-6)
    assert torch.allclose(factorise(weight * gains)[1][:5], factorise(weight)[1][:5], atol=1e-5)


def test_a_channel_of_zeros_is_left_out(weight: Tensor) -> None:
    with_zeros = torch.cat([weight, torch.zeros(3, 40)])
    assert torch.allclose(factorise(with_zeros)[0], factorise(weight)[0])


def test_convolutions_are_stacked_and_torgb_for_the_last_code(generator: Generator) -> None:
    weights = {found.name: found for found in generator.affine_weights()}
    in_order = {0: "b4.conv1", 1: "b8.conv0", 2: "b8.conv1", 3: "b16.conv0", 4: "b16.conv1", 5: "b16.torgb"}
    for first, stop in ((0, 6), (0, 2), (2, 6), (5, 6)):
        expected = torch.cat([weights[in_order[index]].weight for index in range(first, stop)])
        assert torch.equal(stacked(generator.affine_weights(), first, stop, LAYERS), expected)


def test_the_top_direction_moves_styles_more_than_random_ones(generator: Generator) -> None:
    """In styles, each over its channel's weight norm, at equal length in W."""
    _, vectors = factorise(stacked(generator.affine_weights(), 2, 5, LAYERS))
    names = [found.name for found in generator.affine_weights()]
    norms = [found.weight.norm(dim=1) for found in generator.affine_weights()]
    ws = torch.randn(1, LAYERS, 512, generator=torch.Generator().manual_seed(5))

    def moved(direction: Tensor) -> float:
        edited = ws.clone()
        edited[:, 2:5] += direction
        changes = [
            (after - before)[0] / norm
            for name, after, before, norm in zip(
                names, generator.styles(edited), generator.styles(ws), norms, strict=True
            )
            if not name.endswith("torgb")
        ]
        return float(torch.cat(changes).norm())

    drawn = torch.randn(100, 512, generator=torch.Generator().manual_seed(6))
    others = [moved(direction) for direction in torch.nn.functional.normalize(drawn, dim=1)]
    assert moved(vectors[0].float()) > 1.2 * max(others)
    assert moved(vectors[0].float()) > moved(vectors[9].float()) > moved(vectors[-1].float())


def test_the_known_directions_are_found_in_order_and_named(method: SeFa) -> None:
    vectors = method.candidates_.state()["vectors"][: len(NAMES)]
    assert torch.allclose((vectors * toy.BASIS[: len(NAMES)]).sum(dim=1).abs(), torch.ones(len(NAMES)), atol=1e-4)
    for column in range(4, len(NAMES)):  # the first two pairs of attributes are correlated
        name = method.naming_.names[column]
        assert name.qualified and name.label == f"eigenvector {column}, layers 0-5"
    assert method.facts()["naming_candidates"] == 2 * 2 * len(NAMES)


@pytest.mark.parametrize("column", [5, 24])
def test_edits_touch_the_factorised_layers_alone_by_their_length(column: int) -> None:
    method = SeFa(directions=len(NAMES), groups="1-2")
    method.fit(toy.fit_data(200))
    ws = toy.faces(4).ws
    moved = method.edit(ws, strengths(column, -3.0, 4), torch.zeros(4, len(NAMES))) - ws
    assert not moved[:, [0, 3, 4, 5]].any()
    assert torch.allclose(moved[:, 1:3].norm(dim=2), torch.full((4, 2), 3.0), atol=1e-4)


def test_a_positive_strength_raises_the_attribute(method: SeFa) -> None:
    faces, domain = toy.faces(8), toy.load()
    for column in (4, 5, 28):
        readings = [
            domain.scorer_b(domain.generator.synthesis(method.edit(faces.ws, strengths(column, s, 8), faces.values)))
            for s in (-2.0, 0.0, 2.0)
        ]
        low, still, high = (reading[:, column] for reading in readings)
        assert bool((low < still).all() and (still < high).all())


def test_groups_end_with_the_generator() -> None:
    method = SeFa(directions=2, groups="all, 0-1, 2-5, 6-, 4-13")
    method.fit(toy.fit_data(200))
    assert [(group["first"], group["stop"]) for group in method.facts()["groups"]] == [(0, 6), (0, 2), (2, 6), (4, 6)]
    with pytest.raises(StageError, match="layer groups"):
        SeFa(groups="6-").fit(toy.fit_data(50))


def test_weights_are_all_that_is_read() -> None:
    """Other codes and labels find the same directions."""
    data = toy.fit_data(50)
    other = toy.fit_data(50, w=data.w + 9, values=1 - data.values)
    assert torch.equal(SeFa().find(data).state()["vectors"], SeFa().find(other).state()["vectors"])
