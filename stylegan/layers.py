"""The layers of a StyleGAN2 generator: the reference implementation.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020: section 2.2 defines weight
modulation and demodulation (equations 1 and 3). Resampling filter, order of operations and constants agree with
NVIDIA's stylegan2-ada-pytorch.

The code is written for reading and for testing `stylegan.fused`, which has fast versions of the same functions. All
functions work in float32 and float64 and are twice differentiable.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAKY_SLOPE = 0.2
ACTIVATION_GAIN = math.sqrt(2.0)
DEMODULATION_EPSILON = 1e-8
"""Added to the squared norm of a kernel before the division by its root (equation 3)."""
SMALLEST_DIVISOR = 1e-12
"""Lower bound of a largest weight or largest style before a division by it."""


def resampling_filter() -> Tensor:
    """The fixed low-pass filter (4, 4): the outer product of [1, 3, 3, 1] with itself, normalised to sum 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / taps.sum() ** 2


def normalize_second_moment(x: Tensor, *, epsilon: float = 1e-8) -> Tensor:
    """Scale every row of x (batch, features) to a mean square of one."""
    return x * (x.square().mean(dim=1, keepdim=True) + epsilon).rsqrt()


def leaky_relu(x: Tensor, *, gain: float = ACTIVATION_GAIN) -> Tensor:
    """Leaky ReLU with slope 0.2, multiplied by `gain`; sqrt(2) about preserves the second moment of a normal input."""
    return functional.leaky_relu(x, LEAKY_SLOPE) * gain


def bias_activation(
    x: Tensor, bias: Tensor, *, activate: bool = True, gain: float = ACTIVATION_GAIN, clamp: float | None = None
) -> Tensor:
    """Add a bias per channel to x (batch, channels, ...), activate with a gain, clamp to [-clamp, clamp]."""
    x = x + bias.to(x.dtype).reshape(1, -1, *([1] * (x.ndim - 2)))
    if activate:
        x = leaky_relu(x, gain=gain)
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    return x


def filter_image(x: Tensor, kernel: Tensor, *, padding: int | tuple[int, int]) -> Tensor:
    """Convolve every channel of x (batch, channels, height, width) with one kernel (k, k).

    `padding` is in pixels: one number for every side, or (before, after). The kernel is flipped, as in a true
    convolution.
    """
    before, after = (padding, padding) if isinstance(padding, int) else padding
    channels = x.shape[1]
    weight = kernel.to(x.dtype).flip(0, 1).expand(channels, 1, *kernel.shape)
    x = functional.pad(x, (before, after, before, after))
    return functional.conv2d(x, weight, groups=channels)


def upsample(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the resolution of x (batch, channels, height, width): insert zeros, then apply the low-pass filter.

    The gain of four preserves the mean, because three of four pixels are zero.
    """
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = x
    spread = spread.reshape(batch, channels, 2 * height, 2 * width)
    return filter_image(spread, 4 * kernel, padding=(2, 1))


def within_half_range(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (out, in, k, k) and styles (batch, in), scaled so that sums of their products do not overflow in float16.

    NVIDIA's rule: the largest weight of each output channel becomes 1 / sqrt(in * k * k), the largest style of each
    image becomes 1. Demodulation cancels both factors, up to its epsilon.
    """
    largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST_DIVISOR)
    weight = weight / (largest * math.sqrt(weight[0].numel()))
    return weight, styles / styles.abs().amax(dim=1, keepdim=True).clamp(min=SMALLEST_DIVISOR)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    upsampling_kernel: Tensor | None = None,
) -> Tensor:
    """Convolve each image with its kernel: the weight multiplied by the image's styles.

    x: (batch, in, height, width); weight: (out, in, k, k) with odd k; styles: (batch, in). Returns
    (batch, out, height, width), or (batch, out, 2 height, 2 width) with an `upsampling_kernel` (4, 4).

    Equation 1 multiplies the weight by the styles; equation 3 (`demodulate`) divides each image's kernels by their
    norm. With upsampling, a transposed convolution of stride two is followed by the low-pass filter. As in NVIDIA's
    code, and as its checkpoints require, the operation is a correlation without upsampling and a convolution with it.

    x may have half precision: kernels are computed in the type of the weight and then rounded to the type of x.
    """
    batch, channels_in, height, width = x.shape
    channels_out, _, size, _ = weight.shape
    if demodulate and x.dtype != weight.dtype:
        weight, styles = within_half_range(weight, styles)
    kernels = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        norms = kernels.square().sum(dim=(2, 3, 4), keepdim=True)
        kernels = kernels * (norms + DEMODULATION_EPSILON).rsqrt()
    kernels = kernels.to(x.dtype)
    x = x.reshape(1, batch * channels_in, height, width)
    if upsampling_kernel is None:
        kernels = kernels.reshape(batch * channels_out, channels_in, size, size)
        x = functional.conv2d(x, kernels, padding=size // 2, groups=batch)
        return x.reshape(batch, channels_out, height, width)
    kernels = kernels.transpose(1, 2).reshape(batch * channels_in, channels_out, size, size)
    x = functional.conv_transpose2d(x, kernels, stride=2, groups=batch)
    x = x.reshape(batch, channels_out, *x.shape[2:])
    # With a 3 x 3 kernel the transposed convolution returns 2 * size + 1 pixels; the four-tap filter with one pixel of
    # padding removes the extra one.
    return filter_image(x, 4 * upsampling_kernel, padding=1)


def styled_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor,
    *,
    noise: Tensor | None = None,
    demodulate: bool = True,
    upsampling_kernel: Tensor | None = None,
    activate: bool = True,
    clamp: float | None = None,
) -> Tensor:
    """One layer of the synthesis network: modulated convolution, noise, bias, activation.

    `noise` is already scaled and must broadcast to (batch, 1, height, width) of the result. `clamp` bounds the result
    to [-clamp, clamp].
    """
    x = modulated_conv2d(x, weight, styles, demodulate=demodulate, upsampling_kernel=upsampling_kernel)
    if noise is not None:
        x = x + noise.to(x.dtype)
    return bias_activation(x, bias, activate=activate, clamp=clamp)


class FullyConnected(nn.Module):
    """A linear layer with equalised learning rate, optionally followed by the leaky ReLU.

    (batch, features_in) -> (batch, features_out). Weights are stored with a standard deviation of 1 / `lr_multiplier`
    and multiplied by `weight_gain` when used, so that all layers learn at the same speed: Karras et al., "Progressive
    Growing of GANs", ICLR 2018, section 4.1.
    """

    def __init__(
        self,
        features_in: int,
        features_out: int,
        *,
        activate: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.activate = activate
        self.weight_gain = lr_multiplier / math.sqrt(features_in)
        self.bias_gain = lr_multiplier
        self.weight = nn.Parameter(torch.randn(features_out, features_in) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((features_out,), float(bias_init)))

    def scaled_weight(self) -> Tensor:
        """The weight after its gain: (features_out, features_in)."""
        return self.weight * self.weight_gain

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.bias_gain == 1 else self.bias * self.bias_gain
        x = torch.addmm(bias, x, self.scaled_weight().T)
        return leaky_relu(x) if self.activate else x
