"""Conditional InterFaceGAN: every evaluated normal is orthogonal to the other seven, as projection says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.methods.interfacegan import InterFaceGAN
from pipeline.methods.interfacegan_conditional import InterFaceGANConditional
from tests.worlds import toy

COLUMNS = [index_of(name) for name in EVALUATED]


def learn(kind: type[InterFaceGAN], **settings: object) -> torch.Tensor:
    method = kind(chosen=0.2, attributes="all", **settings)  # type: ignore[arg-type]
    method.fit(toy.fit_data(1000))
    return method.directions_.double()


@pytest.fixture(scope="module")
def plain() -> torch.Tensor:
    return learn(InterFaceGAN)


def onto_complement(normal: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """One orthonormal vector after the other taken away: Gram-Schmidt."""
    basis: list[np.ndarray] = []
    for row in conditions:
        for vector in basis:
            row = row - (row @ vector) * vector
        basis.append(row / np.linalg.norm(row))
    for vector in basis:
        normal = normal - (normal @ vector) * vector
    return normal / np.linalg.norm(normal)


@pytest.mark.parametrize("conditions", ["yaw", "yaw, gender", "yaw, gender, smile, glasses", "others"])
def test_normals_are_projected_onto_the_orthogonal_complement(plain: torch.Tensor, conditions: str) -> None:
    found = learn(InterFaceGANConditional, conditions=conditions)
    named = COLUMNS if conditions == "others" else [index_of(name) for name in conditions.split(", ")]
    assert len(found) == len(NAMES)
    for column in range(len(NAMES)):
        others = [other for other in named if other != column]
        expected = onto_complement(plain[column].numpy(), plain[others].numpy()) if others else plain[column].numpy()
        assert np.allclose(found[column].numpy(), expected, atol=1e-5)


def test_the_other_seven_are_the_default(plain: torch.Tensor) -> None:
    assert InterFaceGANConditional().conditions == "others" and InterFaceGAN().conditions == ""
    found = learn(InterFaceGANConditional)[COLUMNS]
    shared = (found @ plain[COLUMNS].T).abs()
    assert float((shared - torch.diag(shared.diag())).max()) < 1e-6
    assert float(shared.diag().min()) > 0.5, "what is left is still the attribute's"
