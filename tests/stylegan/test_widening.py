"""A generator inside a larger one draws the same pictures."""

from __future__ import annotations

import pytest
import torch

from stylegan.architecture import Architecture
from stylegan.generator import Generator
from stylegan.layers import resampling_filter, upsample
from stylegan.widening import widened


@pytest.fixture(scope="module")
def small() -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        generator = Generator(resolution=16, channels={4: 12, 8: 10, 16: 6}, z_dim=24, w_dim=20, mapping_layers=3)
        for name, value in generator.named_parameters():
            if name.endswith(("noise_strength", "bias")):
                torch.nn.init.normal_(value)
        generator.mapping.w_avg.normal_()
    return generator.eval()


def larger(**changes: object) -> Architecture:
    facts = {"resolution": 32, "channels": {4: 17, 8: 10, 16: 13, 32: 5}, "z_dim": 24, "w_dim": 20, "mapping_layers": 3}
    return Architecture(**(facts | changes))  # type: ignore[arg-type]


@torch.no_grad()
def test_pictures_are_the_small_ones_enlarged(small: Generator) -> None:
    large = widened(small, larger())
    z = torch.randn(3, 24, generator=torch.Generator().manual_seed(5))
    w = small.map_to_w(z)
    assert torch.equal(large.map_to_w(z), w) and torch.equal(large.mapping.w_avg, small.mapping.w_avg)
    ours = large.synthesis(large.mapping.broadcast(w))
    theirs = upsample(small.synthesis(small.mapping.broadcast(w)), resampling_filter())
    assert ours.shape == (3, 3, 32, 32) and theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_each_layer_s_code_has_the_same_effect(small: Generator) -> None:
    large = widened(small, larger())
    ws = torch.randn(2, small.num_ws, 20, generator=torch.Generator().manual_seed(6))
    more = torch.cat([ws, torch.randn(2, large.num_ws - small.num_ws, 20)], dim=1)
    theirs = upsample(small.synthesis(ws), resampling_filter())
    torch.testing.assert_close(large.synthesis(more), theirs, rtol=1e-4, atol=1e-4)


def test_with_start_values_the_pictures_stay_and_the_added_channels_can_learn(small: Generator) -> None:
    wider = larger(resolution=16, channels={4: 17, 8: 14, 16: 6})
    with torch.random.fork_rng():
        torch.manual_seed(7)
        start = Generator.from_architecture(wider)
    grown, empty = widened(small, wider, start), widened(small, wider)
    z = torch.randn(3, 24, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(grown(z), small(z), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(empty(z), small(z), rtol=1e-4, atol=1e-4)
    for generator, learns in ((grown, True), (empty, False)):
        generator.synthesis.requires_grad_(True)
        ws = generator.mapping.broadcast(generator.map_to_w(z))
        generator.synthesis(ws).square().sum().backward()
        weight = generator.synthesis.get_parameter("b8.conv0.weight")
        assert weight.grad is not None and bool(weight.grad[:10, 12:].abs().max() > 0) is learns


def test_start_values_of_other_sizes_are_refused(small: Generator) -> None:
    wider = larger(resolution=16, channels={4: 17, 8: 14, 16: 6})
    with pytest.raises(ValueError, match="start values"):
        widened(small, wider, small)
    with pytest.raises(ValueError, match="16 px"):
        widened(small, larger(), Generator.from_architecture(larger()))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"channels": {4: 12, 8: 9, 16: 6, 32: 1}}, "8 px"),
        ({"resolution": 8, "channels": {4: 12, 8: 10}}, "16 px"),
        ({"mapping_layers": 2}, "another mapping_layers"),
        ({"conv_clamp": 256.0}, "another conv_clamp"),
    ],
)
def test_an_architecture_that_cannot_hold_the_generator_is_refused(
    changes: dict[str, object], fault: str, small: Generator
) -> None:
    with pytest.raises(ValueError, match=fault):
        widened(small, larger(**changes))
