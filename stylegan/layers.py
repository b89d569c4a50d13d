"""What a StyleGAN2 generator computes, in its plain form.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020: section 2.2 has
weight modulation and demodulation (equations 1 and 3). Resampling filter, order of the operations
and constants are those of NVIDIA's stylegan2-ada-pytorch.

Everything here is written to be read and to be checked against; `stylegan.fused` has the fast
forms of the same functions. All functions work in float32 and float64 and are twice
differentiable.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAKY_SLOPE = 0.2
ACTIVATION_GAIN = math.sqrt(2.0)
DEMODULATION_EPSILON = 1e-8
SMALLEST = 1e-12  # largest weight or style by which is divided
"""Added to the squared norm of a kernel before its root is divided by (equation 3)."""


def resampling_filter() -> Tensor:
    """The fixed low-pass filter, the outer product of [1, 3, 3, 1] with itself: (4, 4), sum 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / taps.sum() ** 2


def normalize_second_moment(x: Tensor, *, epsilon: float = 1e-8) -> Tensor:
    """Scale every row of x (batch, features) to a mean square of one."""
    return x * (x.square().mean(dim=1, keepdim=True) + epsilon).rsqrt()


def leaky_relu(x: Tensor, *, gain: float = ACTIVATION_GAIN) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled to keep the variance of a normal input."""
    return functional.leaky_relu(x, LEAKY_SLOPE) * gain


def bias_activation(x: Tensor, bias: Tensor, *, activate: bool = True, clamp: float | None = None) -> Tensor:
    """Add a bias per channel to x (batch, channels, ...), activate, clamp to [-clamp, clamp]."""
    x = x + bias.to(x.dtype).reshape(1, -1, *([1] * (x.ndim - 2)))
    if activate:
        x = leaky_relu(x)
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    return x


def filter_image(x: Tensor, kernel: Tensor, *, padding: int | tuple[int, int]) -> Tensor:
    """Convolve every channel of x (batch, channels, height, width) with one kernel (k, k).

    `padding` is in pixels: on every side, or (before, after). A true convolution: the kernel is
    flipped before it slides.
    """
    before, after = (padding, padding) if isinstance(padding, int) else padding
    channels = x.shape[1]
    weight = kernel.to(x.dtype).flip(0, 1).expand(channels, 1, *kernel.shape)
    x = functional.pad(x, (before, after, before, after))
    return functional.conv2d(x, weight, groups=channels)


def upsample(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the resolution of x (batch, channels, height, width): zeros between, then filter.

    The gain of four keeps the mean, since three of four pixels were zero.
    """
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = x
    spread = spread.reshape(batch, channels, 2 * height, 2 * width)
    return filter_image(spread, 4 * kernel, padding=(2, 1))


def within_half_range(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (out, in, k, k) and styles (batch, in) scaled so that no sum of their products overflows in float16.

    NVIDIA's rule: each output channel's largest weight becomes 1 / sqrt(in * k * k), each image's largest style 1.
    Demodulation divides both factors out again, up to its epsilon.
    """
    largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST)
    weight = weight / (largest * math.sqrt(weight[0].numel()))
    return weight, styles / styles.abs().amax(dim=1, keepdim=True).clamp(min=SMALLEST)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    upsampling_kernel: Tensor | None = None,
) -> Tensor:
    """Convolve each image with a kernel of its own: the weight times the image's styles.

    x: (batch, in, height, width); weight: (out, in, k, k) with odd k; styles: (batch, in).
    Answers (batch, out, height, width), or twice that size with an `upsampling_kernel` (4, 4).

    Equation 1 multiplies the weight by the styles, equation 3 (`demodulate`) divides each image's
    kernels by their norm. With upsampling, a transposed convolution of stride two is followed by
    the low-pass filter. NVIDIA's code correlates without upsampling and convolves with it;
    their checkpoints expect that, and so does this function.

    x may be of half precision: kernels are made in the type of the weight and then rounded to that of x.
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
    # The transposed convolution answers 2 * size + 1 pixels for kernels of three: the four-tap
    # filter with one pixel of padding takes the odd one away.
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

    `noise` must broadcast to (batch, 1, height, width) of the result, and is already scaled.
    `clamp` bounds what comes out of the activation.
    """
    x = modulated_conv2d(x, weight, styles, demodulate=demodulate, upsampling_kernel=upsampling_kernel)
    if noise is not None:
        x = x + noise.to(x.dtype)
    return bias_activation(x, bias, activate=activate, clamp=clamp)


class FullyConnected(nn.Module):
    """A linear layer with equalised learning rate, and optionally the leaky ReLU after it.

    (batch, features_in) -> (batch, features_out). Weights are stored with unit variance (over
    `lr_multiplier`) and scaled by `weight_gain` when used, so that every layer learns at the same
    speed: Karras et al., "Progressive Growing of GANs", ICLR 2018, section 4.1.
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
        """The weight that the layer multiplies by: (features_out, features_in)."""
        return self.weight * self.weight_gain

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.bias_gain == 1 else self.bias * self.bias_gain
        x = torch.addmm(bias, x, self.scaled_weight().T)
        return leaky_relu(x) if self.activate else x
