"""GANSpace decomposes W without holding it, and edits a range of layers by standard deviations."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA, IncrementalPCA
from torch import Tensor

from pipeline.attributes import NAMES
from pipeline.methods.ganspace import BATCH, FIRST_BATCH, GANSpace, draw, moments, principal
from pipeline.methods.interface import FitData
from tests.worlds import toy

SCALES = 3 * 0.9 ** torch.arange(toy.USED)  # standard deviations of W along the toy's basis
CENTRE = 5.0


class Stretched(toy.Mapping):
    """A W whose axes differ, away from the origin. `watch` sees every w."""

    watch: Callable[[Tensor], Any] | None = None

    def map_to_w(self, z: Tensor) -> Tensor:
        w = (z[:, : toy.USED] * SCALES) @ toy.BASIS + CENTRE
        if self.watch is not None:
            self.watch(w)
        return w


def data(**changes: Any) -> FitData:
    found = toy.fit_data(200, **changes)
    found.generator.mapping = Stretched()  # type: ignore[assignment]
    return found


def found(components: int = 20, samples: int = 12_000, seed: int = 5, **changes: Any) -> tuple[GANSpace, Tensor]:
    """The method and its scaled components (K, 512), in every layer."""
    method = GANSpace(components=components, samples=samples, groups="all")
    return method, method.find(data(seed=seed, **changes)).state()["vectors"]


@pytest.fixture(scope="module")
def codes() -> Tensor:
    rng = torch.Generator().manual_seed(8)
    return torch.randn(5000, 32, generator=rng) * torch.linspace(3, 0.3, 32) + 100


@pytest.mark.parametrize("batch", [1, 617, 5000])
def test_moments_are_those_of_all_codes_at_once(codes: Tensor, batch: int) -> None:
    part = codes[:700] if batch == 1 else codes
    mean, covariance = moments(part.split(batch))
    assert np.allclose(mean, part.double().mean(dim=0), atol=1e-10)
    assert np.allclose(covariance, np.cov(part.double().numpy().T, bias=True), atol=1e-9)


def test_components_are_those_of_an_exact_decomposition(codes: Tensor) -> None:
    variances, components = principal(moments(codes.split(512))[1])
    exact = PCA(svd_solver="full").fit(codes.double().numpy())
    assert np.allclose(variances * 5000 / 4999, exact.explained_variance_)
    assert np.allclose((components.numpy() * exact.components_).sum(axis=1).__abs__(), 1)


def test_the_authors_incremental_one_approaches_it(codes: Tensor) -> None:
    _, components = principal(moments(codes.split(512))[1])
    theirs = IncrementalPCA(n_components=8, batch_size=500).fit(codes.double().numpy()).components_
    assert float(np.abs((components[:4].numpy() * theirs[:4]).sum(axis=1)).min()) > 0.98


def test_components_are_orthonormal_and_sorted() -> None:
    method, vectors = found()
    units = torch.nn.functional.normalize(vectors.double(), dim=1)
    assert torch.allclose(units @ units.T, torch.eye(20, dtype=torch.float64), atol=1e-5)
    shares = torch.tensor(method.found_["variance_shares"])
    assert bool((shares.diff() < 0).all()) and 0.9 < float(shares.sum()) <= 1
    expected = SCALES.square()[:20] / SCALES.square().sum()
    assert torch.allclose(shares, expected.to(shares), rtol=0.1)


def test_components_are_the_axes_of_w() -> None:
    _, vectors = found()
    cosines = torch.nn.functional.normalize(vectors, dim=1) @ toy.BASIS[:20].T
    assert float(cosines.diagonal().abs().min()) > 0.98


def test_another_seed_finds_the_same_components() -> None:
    one, other = (torch.nn.functional.normalize(found(seed=seed)[1], dim=1) for seed in (5, 6))
    assert not torch.equal(one, other)
    matched = (one @ other.T).abs().max(dim=1)
    assert float(matched.values.min()) > 0.97
    assert matched.indices.tolist() == list(range(20)), "each is matched by the one of its own place"


def test_a_strength_of_one_is_a_standard_deviation_of_untruncated_codes() -> None:
    for psi in (1.0, 0.5):
        halved = toy.fit_data(200).w * psi
        _, vectors = found(w=halved, truncation_psi=psi)
        assert torch.allclose(vectors.norm(dim=1), SCALES[:20], rtol=0.05)


def test_no_more_than_two_lots_of_codes_are_held() -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def watch(w: Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(w))
        most = max(most, sum(seen() is not None for seen in alive))

    material = data()
    material.generator.mapping.watch = watch  # type: ignore[assignment]
    GANSpace(components=2, samples=6 * BATCH, groups="all").find(material)
    assert len(alive) == 7 and most <= 2


def test_every_sample_is_drawn_once() -> None:
    method, material = GANSpace(components=2, samples=2 * BATCH + 7), data()
    batches = list(method.batches(material))
    assert [len(batch) for batch in batches] == [BATCH, BATCH, 7]
    assert torch.equal(batches[1], draw(material, BATCH, FIRST_BATCH + 1))
    assert not torch.equal(batches[0], batches[1])


def test_ranges_are_half_open_and_other_layers_stay() -> None:
    method = GANSpace(components=3, samples=3000, groups="1-2, 4-11")
    material = data()
    method.fit(material)
    spans = [tuple(span) for span in method.candidates_.state()["ranges"].tolist()]
    assert spans == [(1, 3), (4, 6)] * 3, "1-2 is [1, 3); 4-11 ends with the generator"
    assert method.candidates_.label(3) == "component 1, layers 4-5"
    ws = toy.faces(3).ws
    for column, name in enumerate(method.naming_.names[:8]):
        vectors = torch.zeros(3, len(NAMES))
        vectors[:, column] = 2.0
        moved = method.edit(ws, vectors, torch.zeros(3, len(NAMES))) - ws
        first, stop = spans[name.candidate]
        inside = torch.zeros(toy.LAYERS, dtype=torch.bool)
        inside[first:stop] = True
        assert not moved[:, ~inside].any()
        spread = method.facts()["standard_deviations"][name.candidate // 2]
        assert torch.allclose(moved[:, inside].norm(dim=2), torch.tensor(2 * spread).float(), rtol=1e-4)


def test_candidates_are_components_times_groups_times_signs() -> None:
    method = GANSpace(components=3, samples=3000, groups="all, 0-2")
    method.fit(data())
    assert method.facts()["naming_candidates"] == 3 * 2 * 2


def test_labels_are_not_read() -> None:
    plain = toy.fit_data(50)
    other = data(values=1 - plain.values.repeat(4, 1))
    method = GANSpace(components=3, samples=3000)
    assert torch.equal(method.find(other).state()["vectors"], method.find(data()).state()["vectors"])
