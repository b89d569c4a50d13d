"""Early features are asked for the truth: it decides what a face shows, lines find it, and only early layers learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface import copula
from pipeline.domains.synthface.factors import N_ATTRIBUTES, N_FACTORS
from pipeline.domains.synthface.training import early
from pipeline.domains.synthface.training.early import BLOCK, EarlyTruth, latents_of
from pipeline.domains.synthface.training.sets import RenderSet
from pipeline.domains.synthface.truth import make_mapping
from stylegan.generator import Generator
from stylegan.training import image_at


@pytest.fixture(scope="module")
def w() -> Tensor:
    return RenderSet("generator", 9, 2000).w(np.arange(2000))


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = Generator(resolution=16, channels={4: 12, 8: 12, 16: 8})
    network.mapping.load_state_dict(make_mapping().state_dict())
    network.mapping.requires_grad_(False)
    return network


def test_latents_are_normals_as_correlated_as_attributes_are(w: Tensor) -> None:
    latents = latents_of(w)
    assert latents.shape == (2000, N_FACTORS)
    assert latents.mean(dim=0).abs().max() < 0.12
    assert (latents.std(dim=0) - 1).abs().max() < 0.12
    found = torch.corrcoef(latents[:, :N_ATTRIBUTES].T)
    assert (found - copula.latent_correlation().float()).abs().max() < 0.12


@pytest.mark.parametrize("name", ["sunglasses", "headwear", "gender", "age"])
def test_each_attribute_follows_its_own_latent_alone(w: Tensor, name: str) -> None:
    index = attributes.INDEX[name]
    value = RenderSet("generator", 9, 2000).factors(np.arange(2000))[:, index]
    ordered = value[latents_of(w)[:, index].argsort()]
    assert (ordered.diff() >= -1e-6).all()
    assert value.std() > 0.1


def test_solved_lines_read_what_features_hold_of_faces_that_they_have_not_seen(generator: Generator, w: Tensor) -> None:
    lines = EarlyTruth(generator.synthesis)
    lines.solve(generator, w[:1600])
    with torch.no_grad():
        read = lines(generator.synthesis.features(generator.mapping.broadcast(w[1600:]), BLOCK))
    wanted = latents_of(w[1600:])
    unknown = (read - wanted).square().mean() / wanted.var(dim=0).mean()
    assert unknown < 0.9  # 12 channels hold little, but no line is worse than a guess
    assert (read - wanted).square().mean() < (read - wanted.flip(0)).square().mean() / 1.2


def test_the_truth_is_asked_of_early_layers_alone_and_of_w_without_a_picture(generator: Generator, w: Tensor) -> None:
    lines, features = EarlyTruth(generator.synthesis), dict[int, Tensor]()
    image_at(generator.synthesis, generator.mapping.broadcast(w[:4]), 16, features)
    lines.solve(generator, w[:200])
    lines.loss(generator, w[:4], features, w[4:12]).backward()
    slopes = {name: value.grad for name, value in generator.synthesis.named_parameters()}
    assert all(slopes[f"b{size}.conv1.weight"] is not None for size in (4, 8))
    assert all(value is None for name, value in slopes.items() if name.startswith("b16.") or "torgb" in name)
    assert lines.lines.weight.grad is not None
    other = lines.loss(generator, w[:4], features, w[12:20])
    assert float(other.detach()) != float(lines.loss(generator, w[:4], features, w[4:12]).detach())


def test_asking_long_enough_makes_early_features_know(generator: Generator, w: Tensor) -> None:
    lines = EarlyTruth(generator.synthesis)
    lines.solve(generator, w)
    optimizer = torch.optim.Adam([*generator.synthesis.parameters(), *lines.parameters()], lr=2e-3)

    def error() -> Tensor:
        features = {BLOCK: generator.synthesis.features(generator.mapping.broadcast(w[:64]), BLOCK)}
        return lines.loss(generator, w[:64], features, w[64:256])

    before = float(error().detach())
    for _ in range(30):
        optimizer.zero_grad()
        loss = error()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.8 * before


def test_a_step_asks_of_the_same_w_every_time(generator: Generator) -> None:
    lines = EarlyTruth(generator.synthesis)
    rows = lines.rows(3, 5, 1000)
    assert rows.shape == (early.MORE,)
    assert np.array_equal(rows, lines.rows(3, 5, 1000))
    assert not np.array_equal(rows, lines.rows(3, 6, 1000))
