"""The fast forms of `stylegan.layers`: same functions, same results up to rounding.

What is different, and why:

- A kernel per image means a convolution with as many groups as images, which CPUs do slowly.
  Scaling the input channels by the styles, and the output channels by the demodulation, is the
  same thing with one shared kernel.
- The squared norms for demodulation are a product of two small matrices.
- The demodulation, the noise, the bias and the gain of the activation are one pass over the
  pixels: the leaky ReLU of (gain * x) is gain times that of x.
- On a CPU, channels are the innermost dimension (torch's channels_last): twice the speed.
  On other devices the layout stays torch's default; nothing here was measured on a GPU.
- The layer to RGB is one small matrix per image, and does not touch the features before.
- Upsampling an image is one transposed convolution with the low-pass filter; no zeros are
  stored.

Measured and not taken, on two AVX-512 cores: the upsampling convolution and its filter as one
kernel with four phases (36 products per pixel and pair of channels in place of 9; 2 to 4 times
slower), and the transposed convolution as a 2 x 2 convolution with four phases (1.5 to 2 times
slower).
"""

import torch
from torch import Tensor
from torch.nn import functional

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
    if demodulate and x.dtype != weight.dtype:
        weight, styles = within_half_range(weight, styles)
    x = in_layout(x * styles.to(x.dtype)[:, :, None, None])
    if upsampling_kernel is None:
        x = functional.conv2d(x, weight.to(x.dtype), padding=weight.shape[2] // 2)
    else:
        x = functional.conv_transpose2d(x, weight.to(x.dtype).transpose(0, 1), stride=2)
        x = low_pass(x, upsampling_kernel)
    gain = ACTIVATION_GAIN if activate else 1.0
    offset = bias * gain
    if noise is None:
        offset = offset[None, :, None, None]
    else:
        # Added with the channels last, so that the sum is laid out like x.
        offset = in_layout((noise.movedim(1, 3) * gain + offset).movedim(3, 1))
    if demodulate:
        scale = gain * demodulation(weight, styles)
    else:
        scale = x.new_full((1, 1), gain)
    x = scale_and_add(x, scale.to(x.dtype)[:, :, None, None], offset.to(x.dtype))
    if activate:
        x = functional.leaky_relu_(x, LEAKY_SLOPE)
    return x if clamp is None else x.clamp(-clamp, clamp)


def in_layout(x: Tensor) -> Tensor:
    """x (batch, channels, height, width) in the memory layout that its device convolves fastest."""
    on_cpu = x.device.type == "cpu"
    return x.contiguous(memory_format=torch.channels_last if on_cpu else torch.contiguous_format)


def low_pass(x: Tensor, kernel: Tensor) -> Tensor:
    """What follows a transposed convolution: `layers.filter_image` with one pixel of padding."""
    channels = x.shape[1]
    weight = (4 * kernel.to(x.dtype)).flip(0, 1).expand(channels, 1, *kernel.shape)
    return functional.conv2d(x, weight, padding=1, groups=channels)


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """One over the norm of each image's kernels: (batch, channels out)."""
    squares = weight.square().sum(dim=(2, 3))
    return (styles.square() @ squares.T + DEMODULATION_EPSILON).rsqrt()


def scale_and_add(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """x * scale + offset in one pass; into x itself where no gradient will ask for it."""
    if torch.is_grad_enabled():
        return torch.addcmul(offset, x, scale)
    return torch.addcmul(offset, x, scale, out=x)


def pointwise(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor) -> Tensor:
    """A modulated 1 x 1 convolution and bias, as a matrix product per image."""
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
