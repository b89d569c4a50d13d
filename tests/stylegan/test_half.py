"""Half precision in the high resolutions: how close, in which blocks, and nothing at all when it is off."""

import pytest
import torch
from torch import Tensor

from stylegan.generator import Generator
from stylegan.synthesis import HALF_CLAMP, SynthesisLayer

RESOLUTION = 32
CHANNELS = {4: 12, 8: 10, 16: 8, 32: 8}
TYPES = [pytest.param(torch.float16, 0.01, id="float16"), pytest.param(torch.bfloat16, 0.06, id="bfloat16")]


def make_generator(*, fused: bool = True, conv_clamp: float | None = None) -> Generator:
    torch.manual_seed(0)
    generator = Generator(
        resolution=RESOLUTION, channels=CHANNELS, mapping_layers=2, fused=fused, conv_clamp=conv_clamp
    )
    with torch.no_grad():
        for name, value in generator.state_dict().items():
            if name.endswith(("noise_strength", "bias")):
                value += 0.3 * torch.randn(value.shape)
    return generator.eval().requires_grad_(False)


def codes(generator: Generator, count: int = 3) -> Tensor:
    return generator.mapping(torch.randn(count, 512, generator=torch.Generator().manual_seed(1)))


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize(("half", "tolerance"), TYPES)
def test_images_are_close_to_those_of_full_precision(half: torch.dtype, tolerance: float, fused: bool) -> None:
    generator = make_generator(fused=fused)
    ws = codes(generator)
    expected = generator.synthesis(ws)
    generator.synthesis.half_type = half
    found = generator.synthesis(ws)
    assert found.dtype == torch.float32
    assert 0 < relative_error(found, expected) < tolerance
    maps = generator.features(ws, 16)
    generator.synthesis.half_type = None
    assert maps.dtype == torch.float32
    assert relative_error(maps, generator.features(ws, 16)) < tolerance


def test_the_four_highest_resolutions_from_8_px_are_computed_in_half() -> None:
    generator = make_generator()
    generator.synthesis.half_type = torch.float16
    seen: dict[str, torch.dtype] = {}
    for name, layer in generator.synthesis.named_modules():
        if isinstance(layer, SynthesisLayer):
            layer.register_forward_hook(lambda _, args, out, name=name: seen.update({name: out.dtype}))
    generator.synthesis(codes(generator))
    half = {name for name, dtype in seen.items() if dtype == torch.float16}
    assert half == {f"b{r}.{conv}" for r in (8, 16, 32) for conv in ("conv0", "conv1")}
    assert seen["b4.conv1"] == torch.float32


@pytest.mark.parametrize(("resolution", "first"), [(1024, 128), (512, 64), (256, 32), (64, 8), (16, 8)])
def test_the_first_half_resolution_is_nvidias(resolution: int, first: int) -> None:
    with torch.device("meta"):
        generator = Generator(resolution=resolution, channel_base=1024, channel_max=4, mapping_layers=1)
    generator.synthesis.half_type = torch.float16
    in_half = [
        r for r in generator.architecture.channels if generator.synthesis.block_dtype(r, torch.float32).itemsize == 2
    ]
    assert in_half[0] == first and in_half[-1] == resolution


def test_off_is_the_same_to_the_bit() -> None:
    generator = make_generator()
    ws = codes(generator)
    before = generator.synthesis(ws)
    generator.synthesis.half_type = torch.float16
    low = generator.features(ws, 4)
    generator.synthesis.half_type = None
    assert torch.equal(generator.synthesis(ws), before)
    assert torch.equal(generator.features(ws, 4), low), "blocks below the half ones never change"


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
def test_large_weights_and_styles_do_not_overflow(fused: bool) -> None:
    """Their product is 1e10, beyond float16's 65,504; demodulation divides it out."""
    generator = make_generator(fused=fused)
    with torch.no_grad():
        for _, block in generator.synthesis.blocks():
            for layer in (block.conv0, block.conv1):
                if layer is not None:
                    layer.weight *= 1e5
                    layer.affine.weight *= 1e5
                    layer.affine.bias *= 1e5
    ws = codes(generator)
    expected = generator.synthesis(ws)
    generator.synthesis.half_type = torch.float16
    assert relative_error(generator.synthesis(ws), expected) < 0.01


@pytest.mark.parametrize(("own", "bound"), [(None, HALF_CLAMP), (8.0, 8.0)])
def test_activations_of_half_blocks_are_bounded(own: float | None, bound: float) -> None:
    generator = make_generator(conv_clamp=own)
    block = generator.synthesis.get_submodule("b32")
    with torch.no_grad():
        block.conv1.bias.fill_(1e4)
    ws = codes(generator)
    assert (float(generator.features(ws, 32).max()) > bound) == (own is None)
    generator.synthesis.half_type = torch.float16
    assert float(generator.features(ws, 32).max()) == bound


def test_gradients_come_through() -> None:
    generator = make_generator()
    ws = codes(generator).requires_grad_()
    generator.synthesis(ws).square().mean().backward()
    expected, ws.grad = ws.grad, None
    generator.synthesis.half_type = torch.float16
    generator.synthesis(ws).square().mean().backward()
    assert expected is not None and ws.grad is not None
    assert relative_error(ws.grad, expected) < 0.03
