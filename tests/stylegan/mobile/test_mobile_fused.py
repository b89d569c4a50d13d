"""The fast MobileStyleGAN beside the plain one: images, feature maps, gradients, strips of every height, bfloat16."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylegan.mobile import strips
from stylegan.mobile.generator import MobileGenerator
from tests.builders.mobile_files import make_mobile


@pytest.fixture
def generator() -> MobileGenerator:
    return make_mobile()


@pytest.fixture
def ws(generator: MobileGenerator) -> Tensor:
    """Other codes for every layer, three faces."""
    shape = (3, generator.num_ws, generator.w_dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def relative_error(found: Tensor, expected: Tensor) -> float:
    assert expected.std() > 0
    return float((found - expected).abs().max() / expected.abs().max())


def plain(generator: MobileGenerator, ws: Tensor, **how: object) -> Tensor:
    generator.fused = False
    images: Tensor = generator.synthesis(ws, **how)
    generator.fused = True
    return images


@pytest.mark.parametrize("noise", ["const", "none"])
@pytest.mark.parametrize("strip", [1, 200, 2**19], ids=["two rows", "a few rows", "all rows"])
def test_images_in_strips(
    strip: int, noise: str, generator: MobileGenerator, ws: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strips, "STRIP", strip)
    expected = plain(generator, ws, noise=noise)
    found = generator.synthesis(ws, noise=noise)  # type: ignore[arg-type]
    assert found.shape == expected.shape and found.is_contiguous() and relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("block", [4, 8, 16])
def test_feature_maps_in_strips(block: int, generator: MobileGenerator, ws: Tensor) -> None:
    found = generator.features(ws, block)
    generator.fused = False
    assert relative_error(found, generator.features(ws, block)) < 1e-5


@pytest.mark.parametrize("half_type", [None, torch.bfloat16])
def test_an_image_is_the_same_to_the_bit_alone_and_among_others(
    half_type: torch.dtype | None, generator: MobileGenerator, ws: Tensor
) -> None:
    generator.synthesis.half_type = half_type
    assert generator.synthesis(ws[:0]).shape == (0, 3, 32, 32) and len(generator.features(ws[:0], 8)) == 0
    assert torch.equal(generator.features(ws, 16)[1:2], generator.features(ws[1:2], 16))
    assert torch.equal(generator.synthesis(ws)[1:2], generator.synthesis(ws[1:2]))


def test_other_noise_for_every_image(generator: MobileGenerator, ws: Tensor) -> None:
    found, expected = (
        make(generator, ws, noise="random", rng=torch.Generator().manual_seed(5))
        for make in (lambda generator, ws, **how: generator.synthesis(ws, **how), plain)
    )
    assert relative_error(found, expected) < 1e-5


def test_gradients(generator: MobileGenerator, ws: Tensor) -> None:
    """Recorded gradients take the way of whole batches; images and gradients agree with the plain layers."""
    target = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(6))
    found = []
    for make in (generator.synthesis, lambda codes: plain(generator, codes)):
        codes = ws.clone().requires_grad_(True)
        images = make(codes)
        (images * target).sum().backward()
        assert codes.grad is not None
        found.append((images.detach(), codes.grad))
    assert relative_error(found[0][0], found[1][0]) < 1e-5
    assert relative_error(found[0][1], found[1][1]) < 1e-4


def test_training_reaches_every_weight(generator: MobileGenerator, ws: Tensor) -> None:
    generator.requires_grad_(True)
    generator.synthesis(ws).square().sum().backward()
    lacking = [name for name, p in generator.synthesis.named_parameters() if p.grad is None or not p.grad.any()]
    assert lacking == []


HALVES = [pytest.param(torch.float16, 0.01, id="float16"), pytest.param(torch.bfloat16, 0.05, id="bfloat16")]


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(("half_type", "tolerance"), HALVES)
def test_half_precision_is_near(
    half_type: torch.dtype, tolerance: float, gradients: bool, fused: bool, generator: MobileGenerator, ws: Tensor
) -> None:
    expected = plain(generator, ws)
    generator.fused = fused
    generator.synthesis.half_type = half_type
    found = generator.synthesis(ws.requires_grad_(gradients)).detach()
    assert found.dtype == torch.float32 and 0 < relative_error(found, expected) < tolerance


@pytest.mark.parametrize("gradients", [True, False])
def test_far_codes_stay_finite_in_float16(gradients: bool, generator: MobileGenerator, ws: Tensor) -> None:
    far = 20 * ws
    assert generator.features(far, 16).abs().max() > torch.finfo(torch.float16).max
    generator.synthesis.half_type = torch.float16
    found = generator.synthesis(far.requires_grad_(gradients))
    assert bool(torch.isfinite(found).all())


def test_float64_agrees_to_its_precision(generator: MobileGenerator, ws: Tensor) -> None:
    generator.double()
    assert relative_error(generator.synthesis(ws.double()), plain(generator, ws.double())) < 1e-13
