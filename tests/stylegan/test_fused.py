"""The fast forms of the layers give what the plain ones give, gradients included."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan import fused, layers
from stylegan.generator import Generator

PRECISIONS = [
    pytest.param(torch.float32, 1e-5, id="float32"),
    pytest.param(torch.float64, 1e-10, id="float64"),
]
LAYERS: list[dict[str, Any]] = [
    dict(),
    dict(demodulate=False),
    dict(activate=False),
    dict(clamp=1.0),
    dict(upsampling=True),
    dict(upsampling=True, demodulate=False, clamp=20.0),
    dict(noise=1),
    dict(noise=3, upsampling=True),
    dict(size=1),
    dict(size=1, demodulate=False, activate=False),
    dict(size=1, demodulate=False, activate=False, clamp=0.7),
]


def relative_error(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float(((found - expected).abs().max() / expected.abs().max()).detach())


def draw(seed: int, *shape: int, dtype: torch.dtype) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def arguments_of(case: dict[str, Any], dtype: torch.dtype) -> tuple[list[Tensor], dict[str, Any]]:
    """Tensors that want a gradient, and settings, for a batch of three."""
    settings = dict(case)
    size, noise_batch = settings.pop("size", 3), settings.pop("noise", 0)
    upsampling = settings.pop("upsampling", False)
    tensors = [
        draw(0, 3, 6, 8, 8, dtype=dtype),
        draw(1, 5, 6, size, size, dtype=dtype),
        draw(2, 3, 6, dtype=dtype),
        draw(3, 5, dtype=dtype),
    ]
    if upsampling:
        settings["upsampling_kernel"] = draw(4, 4, 4, dtype=dtype)  # not symmetric
    if noise_batch:
        side = 16 if upsampling else 8
        settings["noise"] = draw(5, noise_batch, 1, side, side, dtype=dtype)
    return [tensor.requires_grad_() for tensor in tensors], settings


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_a_layer_agrees(case: dict[str, Any], dtype: torch.dtype, tolerance: float, channels_last: bool) -> None:
    tensors, settings = arguments_of(case, dtype)
    inputs = list(tensors)
    if channels_last:
        inputs[0] = inputs[0].contiguous(memory_format=torch.channels_last)
    expected = layers.styled_conv2d(*inputs, **settings)
    found = fused.styled_conv2d(*inputs, **settings)
    assert relative_error(found, expected) < tolerance
    with torch.no_grad():
        before = [tensor.clone() for tensor in inputs]
        assert relative_error(fused.styled_conv2d(*inputs, **settings), expected) < tolerance
        assert all(torch.equal(a, b) for a, b in zip(before, inputs, strict=True))


@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_gradients_of_a_layer_agree(case: dict[str, Any]) -> None:
    tensors, settings = arguments_of(case, torch.float64)

    def gradients(form: Any) -> tuple[Tensor, ...]:
        result = form(*tensors, **settings)
        weights = draw(6, *result.shape, dtype=torch.float64)
        return torch.autograd.grad((result * weights).sum(), tensors)

    assert tensors
    for found, expected in zip(gradients(fused.styled_conv2d), gradients(layers.styled_conv2d), strict=True):
        assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_upsampling_agrees(dtype: torch.dtype, tolerance: float) -> None:
    x, kernel = draw(0, 2, 3, 6, 5, dtype=dtype), draw(1, 4, 4, dtype=dtype)
    assert relative_error(fused.upsample(x, kernel), layers.upsample(x, kernel)) < tolerance


def make_generator(**changes: Any) -> Generator:
    torch.manual_seed(0)
    generator = Generator(resolution=32, z_dim=32, w_dim=32, channels={4: 24, 8: 16, 16: 12, 32: 8}, **changes)
    with torch.no_grad():
        for name, value in generator.state_dict().items():
            if name.endswith(("noise_strength", "bias")):
                value += 0.3 * torch.randn(value.shape)
    return generator


@pytest.mark.parametrize("noise", ["const", "none"])
@pytest.mark.parametrize("clamp", [None, 2.0])
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_a_generator_agrees(dtype: torch.dtype, tolerance: float, clamp: float | None, noise: str) -> None:
    generator = make_generator(conv_clamp=clamp).to(dtype)
    ws = generator.mapping(draw(0, 4, 32, dtype=dtype)) + draw(1, 4, 8, 32, dtype=dtype)
    results = {}
    for is_fused in (True, False):
        generator.fused = is_fused
        with torch.no_grad():
            results[is_fused] = generator.synthesis(ws, noise=noise)
    assert relative_error(results[True], results[False]) < tolerance


def test_second_gradients_of_a_generator_agree() -> None:
    """What path-length regularisation asks for, with respect to every parameter."""
    generator = make_generator().double()
    ws = generator.mapping(draw(0, 2, 32, dtype=torch.float64)).detach().requires_grad_()
    results = []
    for is_fused in (True, False):
        generator.fused = is_fused
        weights = [p for n, p in generator.synthesis.named_parameters() if n.endswith("weight")]
        image = generator.synthesis(ws)
        (first,) = torch.autograd.grad(
            (image * draw(1, *image.shape, dtype=torch.float64)).sum(), ws, create_graph=True
        )
        assert weights
        results.append(torch.autograd.grad(first.square().sum(), weights))
    for found, expected in zip(*results, strict=True):
        assert relative_error(found, expected) < 1e-10
