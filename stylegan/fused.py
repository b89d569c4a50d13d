"""Fast implementations of the functions in `stylegan.layers`, with the same results up to rounding.

The differences, and the reasons:

- One kernel per image needs a convolution with as many groups as images, which is slow on CPUs. Scaling the input
  channels by the styles and the output channels by the demodulation gives the same result with one shared kernel.
- The squared norms for demodulation are the product of two small matrices.
- Demodulation, noise, bias and the activation's gain take one pass over the pixels, because
  leaky_relu(gain * x) = gain * leaky_relu(x).
- On a CPU, channels are the innermost dimension (torch's channels_last), which doubles the speed. Other devices keep
  torch's default layout; nothing here was measured on a GPU.
- The layer to RGB multiplies by one small matrix per image and leaves the feature map unscaled.
- Upsampling an image is one transposed convolution with the low-pass filter; no zeros are stored.
- bfloat16 on a CPU has convolutions of its own: `stylegan.bfloat16`.

Measured on two AVX-512 cores and rejected: the upsampling convolution and its filter as one kernel with four phases
(36 products instead of 9 per pixel and pair of channels; 2 to 4 times slower), and the transposed convolution as a
2 x 2 convolution with four phases (1.5 to 2 times slower).
"""

import torch
from torch import Tensor
from torch.nn import functional

from stylegan import bfloat16
from stylegan.layers import ACTIVATION_GAIN, DEMODULATION_EPSILON, LEAKY_SLOPE, within_half_range


def upsample(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the resolution of x (batch, channels, height, width); see `layers.upsample`."""
    channels = x.shape[1]
    weight = (4 * kernel.to(x.dtype)).expand(channels, 1, *kernel.shape)
    return functional.conv_transpose2d(in_layout(x), weight, stride=2, padding=1, groups=channels)


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
    """One layer of the synthesis network; see `layers.styled_conv2d`."""
    plain = noise is None and upsampling_kernel is None and not demodulate and not activate
    if plain and weight.shape[2:] == (1, 1):
        x = pointwise(x, weight, styles, bias)
        return x if clamp is None else x.clamp(-clamp, clamp)
    norms = None
    if x.dtype == torch.bfloat16 and x.device.type == "cpu":
        kernel, norms = bfloat16.prepared(weight, upsampling_kernel)
        x = bfloat16.convolve(
            in_layout(x * styles.to(x.dtype)[:, :, None, None]), kernel, upsampling_kernel is not None
        )
    else:
        if demodulate and x.dtype != weight.dtype:
            weight, styles = within_half_range(weight, styles)
        x = _convolve(in_layout(x * styles.to(x.dtype)[:, :, None, None]), weight.to(x.dtype), upsampling_kernel)
    gain = ACTIVATION_GAIN if activate else 1.0
    offset = bias * gain
    if noise is None:
        offset = offset[None, :, None, None]
    else:
        # The sum is computed with channels last, so its memory layout is the same as the layout of x.
        offset = in_layout((noise.movedim(1, 3) * gain + offset).movedim(3, 1))
    if demodulate:
        scale = gain * demodulation(weight, styles, norms)
    else:
        scale = x.new_full((1, 1), gain)
    x = scale_and_add(x, scale.to(x.dtype)[:, :, None, None], offset.to(x.dtype))
    if activate:
        x = functional.leaky_relu_(x, LEAKY_SLOPE)
    return x if clamp is None else x.clamp(-clamp, clamp)


def _convolve(x: Tensor, weight: Tensor, upsampling_kernel: Tensor | None) -> Tensor:
    """x (batch, in, height, width) with a kernel (out, in, k, k), to twice the resolution with an upsampling kernel."""
    if upsampling_kernel is None:
        return functional.conv2d(x, weight, padding=weight.shape[2] // 2)
    return low_pass(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2), upsampling_kernel)


def in_layout(x: Tensor) -> Tensor:
    """x (batch, channels, height, width) in the memory layout with the fastest convolutions on its device."""
    on_cpu = x.device.type == "cpu"
    return x.contiguous(memory_format=torch.channels_last if on_cpu else torch.contiguous_format)


def low_pass(x: Tensor, kernel: Tensor) -> Tensor:
    """The low-pass filter after a transposed convolution: `layers.filter_image`, gain 4, one pixel of padding."""
    channels = x.shape[1]
    weight = (4 * kernel.to(x.dtype)).flip(0, 1).expand(channels, 1, *kernel.shape)
    return functional.conv2d(x, weight, padding=1, groups=channels)


def demodulation(weight: Tensor, styles: Tensor, squares: Tensor | None = None) -> Tensor:
    """The reciprocal norms of each image's kernels: (batch, channels out).

    `squares` (out, in): the weight's squared norms by pairs of channels, where they are known.
    """
    squares = weight.square().sum(dim=(2, 3)) if squares is None else squares
    return (styles.square() @ squares.T + DEMODULATION_EPSILON).rsqrt()


def scale_and_add(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """x * scale + offset in one pass; written into x unless gradients are recorded."""
    if torch.is_grad_enabled():
        return torch.addcmul(offset, x, scale)
    return torch.addcmul(offset, x, scale, out=x)


def pointwise(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor) -> Tensor:
    """A modulated 1 x 1 convolution and bias, as one matrix product per image."""
    batch, channels_in, height, width = x.shape
    channels_out = weight.shape[0]
    kernels = (weight[None, :, :, 0, 0] * styles[:, None]).to(x.dtype)
    bias = bias.to(x.dtype)
    if x.is_contiguous():
        pixels = x.reshape(batch, channels_in, height * width)
        image = torch.baddbmm(bias[:, None], kernels, pixels)
        return image.reshape(batch, channels_out, height, width)
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels_in)
    image = torch.baddbmm(bias, pixels, kernels.transpose(1, 2))
    return image.reshape(batch, height, width, channels_out).permute(0, 3, 1, 2)
