"""MobileStyleGAN: the contract of a generator, its codes, and the inverse Haar transform."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylegan.mobile.architecture import MobileArchitecture
from stylegan.mobile.generator import MobileGenerator
from stylegan.mobile.layers import inverse_haar
from tests.builders.mobile_files import SMALL, make_mobile


@pytest.fixture(scope="module")
def generator() -> MobileGenerator:
    return make_mobile()


@pytest.fixture
def ws(generator: MobileGenerator) -> Tensor:
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(1))
    return generator.mapping(z)


def test_shapes(generator: MobileGenerator, ws: Tensor) -> None:
    assert generator.num_ws == 6 and ws.shape == (2, 6, 5)
    assert generator.synthesis(ws).shape == (2, 3, 32, 32)
    for resolution, channels in SMALL.items():
        assert generator.features(ws, resolution).shape == (2, channels, resolution, resolution)
    with pytest.raises(ValueError, match="b32"):
        generator.features(ws, "b32")
    with pytest.raises(ValueError, match="broadcast"):
        generator.synthesis(ws[:, :5])


def test_the_published_widths_are_the_default() -> None:
    with torch.device("meta"):
        generator = MobileGenerator(resolution=1024)
    assert generator.num_ws == 16 and generator.architecture.channels[512] == 64
    assert generator.affine_weights()[-1].name == "b1024.torgb" and generator.affine_weights()[-1].ws_index == 15
    assert generator.synthesis.torgb.weight.shape == (12, 64, 1, 1)


def test_channels_without_four_bands_are_refused() -> None:
    with pytest.raises(ValueError, match=r"channels\[4\] must be a multiple of 4"):
        MobileArchitecture(resolution=16, channels={4: 6, 8: 6})


def test_each_code_is_read_where_stylegan2_reads_it(generator: MobileGenerator, ws: Tensor) -> None:
    """Code 0 at 4 px, codes 2 k - 1 and 2 k at the k-th resolution after it, the last one by the image only."""
    first_read = {0: 4, 1: 8, 2: 8, 3: 16, 4: 16, 5: 32}
    assert list(first_read) == list(range(generator.num_ws)) and SMALL
    for index, resolution in first_read.items():
        other = ws.clone()
        other[:, index] += 1
        for block in SMALL:
            same = torch.equal(generator.features(ws, block), generator.features(other, block))
            assert same == (block < resolution), (index, block)
        assert not torch.equal(generator.synthesis(ws), generator.synthesis(other))


def test_affine_weights_give_the_styles(generator: MobileGenerator, ws: Tensor) -> None:
    weights, styles = generator.affine_weights(), generator.styles(ws)
    names = ["b4.conv1", "b8.up", "b8.conv1", "b8.conv2", "b16.up", "b16.conv1", "b16.conv2", "b32.torgb"]
    assert [layer.name for layer in weights] == names
    assert [layer.ws_index for layer in weights] == [0, 1, 1, 2, 3, 3, 4, 5]
    other = ws + torch.randn(ws.shape, generator=torch.Generator().manual_seed(2))
    for layer, before, after in zip(weights, styles, generator.styles(other), strict=True):
        change = (other - ws)[:, layer.ws_index] @ layer.weight.T
        assert torch.allclose(after - before, change, atol=1e-5)


def test_truncation_moves_towards_the_average(generator: MobileGenerator) -> None:
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(1))
    mean = generator.mapping(z, truncation_psi=0.0)
    assert torch.allclose(mean, generator.mapping.w_avg.expand_as(mean))


def test_noise_is_fixed_unless_asked(generator: MobileGenerator, ws: Tensor) -> None:
    fixed = generator.synthesis(ws)
    assert torch.equal(fixed, generator.synthesis(ws))
    none = generator.synthesis(ws, noise="none")
    drawn = [generator.synthesis(ws, noise="random", rng=torch.Generator().manual_seed(k)) for k in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(none, fixed)


def test_an_image_is_the_same_alone_and_among_others(generator: MobileGenerator, ws: Tensor) -> None:
    assert torch.allclose(generator.synthesis(ws)[1:], generator.synthesis(ws[1:]), atol=1e-4)


def test_inverse_haar_of_known_bands() -> None:
    """The low band spreads; the others change sign along rows, along columns, and along both."""
    bands = torch.zeros(4, 4, 1, 1)
    for band in range(4):
        bands[band, band] = 2.0
    expected = [[[1, 1], [1, 1]], [[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]]
    assert inverse_haar(bands)[:, 0].tolist() == expected


def test_inverse_haar_keeps_the_norm_and_the_order_of_channels() -> None:
    x = torch.randn(2, 12, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pixels = inverse_haar(x)
    assert pixels.shape == (2, 3, 10, 6)
    assert torch.allclose(pixels.square().sum(), x.square().sum())
    for channel in range(3):
        others = [channel, 3 + 3 * channel, 4 + 3 * channel, 5 + 3 * channel]
        assert torch.allclose(pixels[:, channel : channel + 1], inverse_haar(x[:, others]))
