"""The way from z to the truth: standard normals, entangled in z, nearly but not wholly linear in w."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.domains.synthface import truth
from pipeline.domains.synthface.factors import N_FACTORS, attributes_of, factors_from_normals

MANY = 8192


@pytest.fixture(scope="module")
def pairs() -> tuple[Tensor, Tensor]:
    """z (MANY, 512) and the w that belong to them."""
    z = torch.randn(MANY, 512, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        return z, truth.make_mapping().map_to_w(z)


def unexplained(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Share of each column's variance that a linear map of the inputs leaves, on rows that it was not fitted on."""
    rows = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1).double()
    half = len(rows) * 3 // 4
    found = torch.linalg.lstsq(rows[:half], outputs[:half].double()).solution
    error = rows[half:] @ found - outputs[half:].double()
    return error.square().mean(dim=0) / outputs.double().var(dim=0)


def test_w_holds_independent_standard_normals(pairs: tuple[Tensor, Tensor]) -> None:
    normals = truth.normals_in_w(pairs[1])
    assert normals.mean(dim=0).abs().max() < 0.08
    assert (normals.std(dim=0) - 1).abs().max() < 0.05
    assert (torch.corrcoef(normals.T) - torch.eye(N_FACTORS)).abs().max() < 0.08
    assert unexplained(pairs[1], normals).max() < 1e-6


def test_the_truth_is_standard_normal_too(pairs: tuple[Tensor, Tensor]) -> None:
    normals = truth.truth_normals(pairs[1])
    assert (normals.std(dim=0) - 1).abs().max() < 0.05
    assert (torch.corrcoef(normals.T) - torch.eye(N_FACTORS)).abs().max() < 0.08


def test_the_truth_is_entangled_in_z_and_not_linear_in_w(pairs: tuple[Tensor, Tensor]) -> None:
    z, w = pairs
    normals = truth.truth_normals(w)
    assert unexplained(z, normals).mean() > 0.5
    left = unexplained(w, normals)  # two normals have no partner to be turned with
    assert left.median() > 0.05
    assert left.max() < 0.2


def test_the_length_of_z_does_not_matter() -> None:
    z = torch.randn(8, 512, generator=torch.Generator().manual_seed(5))
    mapping = truth.make_mapping()
    with torch.no_grad():
        assert torch.allclose(mapping.map_to_w(z), mapping.map_to_w(3 * z), atol=1e-4)


def test_the_mapping_is_made_alike_every_time() -> None:
    first, second = truth.make_mapping().state_dict(), truth.make_mapping().state_dict()
    assert first and all(torch.equal(first[name], second[name]) for name in first)


def test_factors_are_those_of_the_normals(pairs: tuple[Tensor, Tensor]) -> None:
    w = pairs[1][:8]
    expected = factors_from_normals(truth.truth_normals(w))
    assert torch.equal(truth.truth_factors(w), expected)
    assert attributes_of(expected).shape == (8, 35)
