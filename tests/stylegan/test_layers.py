"""The plain layers beside slow, obvious forms of the same equations."""

import math

import pytest
import torch
from torch import Tensor

from stylegan import layers


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def convolve(image: Tensor, kernel: Tensor) -> Tensor:
    """A true convolution of two matrices, everywhere that they overlap, by its definition."""
    height, width = image.shape
    size = kernel.shape[0]
    result = image.new_zeros(height + size - 1, width + size - 1)
    for row in range(size):
        for column in range(size):
            result[row : row + height, column : column + width] += kernel[row, column] * image
    return result


def spread(image: Tensor) -> Tensor:
    """Zeros between the pixels: twice the size."""
    result = image.new_zeros(2 * image.shape[0], 2 * image.shape[1])
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            result[2 * row, 2 * column] = image[row, column]
    return result


def slow_modulated_conv2d(x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool, upsampling: bool) -> Tensor:
    """Equations 1 and 3 in a loop over images and pairs of channels."""
    batch, channels_in, height, width = x.shape
    channels_out, _, size, _ = weight.shape
    margin = size // 2
    low_pass = layers.resampling_filter().to(x.dtype)
    factor = 2 if upsampling else 1
    result = x.new_zeros(batch, channels_out, factor * height, factor * width)
    for n in range(batch):
        for o in range(channels_out):
            kernel = weight[o] * styles[n, :, None, None]
            if demodulate:
                kernel = kernel / math.sqrt(float(kernel.square().sum()) + 1e-8)
            for i in range(channels_in):
                if upsampling:
                    full = convolve(convolve(spread(x[n, i]), kernel[i]), 4 * low_pass)
                    # The 6 taps of kernel and filter together: three lie before the pixel.
                    first = 2
                else:
                    full = convolve(x[n, i], kernel[i].flip(0, 1))
                    first = margin
                rows, columns = factor * height, factor * width
                result[n, o] += full[first : first + rows, first : first + columns]
    return result


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("upsampling", [True, False])
def test_modulated_convolution_agrees_with_the_loops(demodulate: bool, upsampling: bool) -> None:
    x, weight, styles = normal(2, 3, 5, 4), normal(4, 3, 3, 3, seed=1), normal(2, 3, seed=2)
    found = layers.modulated_conv2d(
        x,
        weight,
        styles,
        demodulate=demodulate,
        upsampling_kernel=layers.resampling_filter() if upsampling else None,
    )
    expected = slow_modulated_conv2d(x, weight, styles, demodulate=demodulate, upsampling=upsampling)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_upsampling_agrees_with_zeros_between_and_explicit_convolution() -> None:
    x = normal(2, 3, 5, 4)
    kernel = normal(4, 4, seed=1)  # not symmetric, so that a flip would show
    found = layers.upsample(x, kernel)
    for n in range(2):
        for c in range(3):
            full = convolve(spread(x[n, c]), 4 * kernel)
            torch.testing.assert_close(found[n, c], full[1:11, 1:9], rtol=1e-12, atol=1e-12)


def test_upsampling_keeps_a_flat_image_flat_inside() -> None:
    upsampled = layers.upsample(torch.ones(1, 1, 8, 8), layers.resampling_filter())
    torch.testing.assert_close(upsampled[..., 1:-1, 1:-1], torch.ones(1, 1, 14, 14))


def test_upsampling_centres_each_pixel_between_its_four_copies() -> None:
    """The mean position of an impulse does not move: half a pixel shift would show here."""
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 3, 5] = 1.0
    upsampled = layers.upsample(image, layers.resampling_filter())[0, 0]
    centres = (torch.arange(16) + 0.5) / 2
    torch.testing.assert_close((upsampled.sum(1) @ centres) / upsampled.sum(), torch.tensor(3.5))
    torch.testing.assert_close((upsampled.sum(0) @ centres) / upsampled.sum(), torch.tensor(5.5))


def test_the_filter_has_sum_one_and_is_one_three_three_one() -> None:
    kernel = layers.resampling_filter()
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0))
    torch.testing.assert_close(kernel[0] / kernel[0, 0], torch.tensor([1.0, 3.0, 3.0, 1.0]))
    torch.testing.assert_close(kernel[:, 0] / kernel[0, 0], torch.tensor([1.0, 3.0, 3.0, 1.0]))


def test_demodulation_gives_unit_variance_whatever_the_styles() -> None:
    x = normal(4, 64, 32, 32)
    styles = normal(4, 64, seed=1) * torch.tensor([0.01, 1.0, 10.0, 1000.0])[:, None]
    found = layers.modulated_conv2d(x, normal(48, 64, 3, 3, seed=2), styles)
    inside = found[:, :, 1:-1, 1:-1]
    deviations = inside.std(dim=(1, 2, 3))
    torch.testing.assert_close(deviations, torch.ones(4).double(), rtol=0.02, atol=0)


def test_activation_keeps_the_variance_of_a_normal_input() -> None:
    """The gain of sqrt(2) is for slope 0; slope 0.2 leaves a second moment of 1.04."""
    second_moment = layers.leaky_relu(normal(200_000)).square().mean()
    assert float(second_moment) == pytest.approx(1.04, abs=0.02)


def test_clamp_comes_after_the_activation() -> None:
    x = torch.tensor([[-10.0, 3.0]]).reshape(1, 2, 1, 1)
    bias = torch.tensor([0.0, 1.0])
    found = layers.bias_activation(x, bias, clamp=2.5).flatten()
    torch.testing.assert_close(found, torch.tensor([-2.5, 2.5]))
    found = layers.bias_activation(x, bias, activate=False, clamp=8.0).flatten()
    torch.testing.assert_close(found, torch.tensor([-8.0, 4.0]))


def test_bias_goes_to_the_channel_of_a_map_and_of_a_vector() -> None:
    bias = torch.tensor([1.0, 2.0])
    maps = layers.bias_activation(torch.zeros(1, 2, 2, 2), bias, activate=False)
    assert maps[0, :, 0, 0].tolist() == [1.0, 2.0]
    vectors = layers.bias_activation(torch.zeros(3, 2), bias, activate=False)
    assert vectors[0].tolist() == [1.0, 2.0]


def test_noise_is_added_before_the_activation() -> None:
    x, weight, styles = normal(1, 2, 4, 4), normal(3, 2, 3, 3, seed=1), normal(1, 2, seed=2)
    noise, bias = normal(1, 1, 4, 4, seed=3), normal(3, seed=4)
    found = layers.styled_conv2d(x, weight, styles, bias, noise=noise)
    before = layers.modulated_conv2d(x, weight, styles) + noise + bias[:, None, None]
    expected = torch.where(before > 0, before, 0.2 * before) * math.sqrt(2)
    torch.testing.assert_close(found, expected)


def test_fully_connected_starts_with_unit_variance_at_any_learning_rate() -> None:
    x = normal(2000, 256, seed=5, dtype=torch.float32)
    for lr_multiplier in (1.0, 0.01):
        torch.manual_seed(0)
        layer = layers.FullyConnected(256, 128, lr_multiplier=lr_multiplier)
        assert float(layer(x).detach().std()) == pytest.approx(1.0, rel=0.03)
        assert float(layer.weight.detach().std()) == pytest.approx(1 / lr_multiplier, rel=0.03)


def test_fully_connected_scales_its_bias_by_the_learning_rate() -> None:
    layer = layers.FullyConnected(4, 3, lr_multiplier=0.5, bias_init=2.0)
    torch.testing.assert_close(layer(torch.zeros(1, 4)), torch.ones(1, 3))


def test_normalized_rows_have_a_mean_square_of_one() -> None:
    rows = layers.normalize_second_moment(7 * normal(5, 32))
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(5).double())


@pytest.mark.parametrize("upsampling", [True, False])
def test_gradients_are_those_of_finite_differences(upsampling: bool) -> None:
    kernel = layers.resampling_filter().double() if upsampling else None

    def layer(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor) -> Tensor:
        return layers.styled_conv2d(x, weight, styles, bias, upsampling_kernel=kernel)

    shapes = [(2, 2, 3, 3), (2, 2, 3, 3), (2, 2), (2,)]
    inputs = [normal(*shape, seed=k).requires_grad_() for k, shape in enumerate(shapes)]
    assert torch.autograd.gradcheck(layer, inputs)
