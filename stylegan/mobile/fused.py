"""Fast implementations of the functions in `stylegan.mobile.layers`, with the same results up to rounding.

- Styles of a convolution commute with its depthwise kernels, so they scale the pointwise matrix of each image instead
  of every pixel. The gain scales the depthwise kernels.
- On a CPU without gradients, an image is made in strips of rows that pass through all blocks (`stylegan.mobile.strips`)
  and stay in the caches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stylegan.fused import in_layout
from stylegan.layers import LEAKY_SLOPE
from stylegan.mobile import strips
from stylegan.mobile.layers import BAND_CLAMP, HALF_CLAMP, Block, Step, bounded, inverse_haar, modulated, style_gain
from stylegan.mobile.layers import convolution as full_convolution
from stylegan.mobile.layers import to_image as to_image


def images(x: Tensor, blocks: Sequence[Block], head: Step) -> Tensor:
    """All blocks after the first, and the layer to the image; see `layers.images`."""
    if fits_strips(x, blocks):
        return strips.images(x, blocks, head)
    for layers in blocks:
        x = block(x, layers)
    return to_image(x, head)


def block(x: Tensor, layers: Block) -> Tensor:
    """A block; see `layers.block`."""
    if fits_strips(x, [layers]):
        return strips.block(x, layers)
    haar = inverse_haar_last if x.device.type == "cpu" else inverse_haar
    x = haar(bounded(modulated(x.to(layers.dtype), layers.up_styles), BAND_CLAMP))
    return convolution(convolution(x, layers.first), layers.second)


def inverse_haar_last(x: Tensor) -> Tensor:
    """The inverse Haar transform with channels last in memory; see `layers.inverse_haar`."""
    channels = x.shape[1] // 4
    bands = (x / 2).permute(0, 2, 3, 1)
    low, (rows, columns, both) = bands[..., :channels], (bands[..., channels + k :: 3] for k in range(3))
    even, odd, even_change, odd_change = low + rows, low - rows, columns + both, columns - both
    upper = torch.stack([even + even_change, even - even_change], dim=3)
    lower = torch.stack([odd + odd_change, odd - odd_change], dim=3)
    pixels = torch.stack([upper, lower], dim=2)
    return pixels.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def fits_strips(x: Tensor, blocks: Sequence[Block]) -> bool:
    """Whether these blocks are computed in strips: on a CPU, where no gradient is recorded."""
    if x.device.type != "cpu":
        return False
    tensors = [x, *(layers.up_styles for layers in blocks)]
    tensors += [
        part for layers in blocks for step in (layers.first, layers.second) for part in step if part is not None
    ]
    return not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors))


def convolution(x: Tensor, step: Step) -> Tensor:
    """Modulation, convolution, noise, bias and leaky ReLU; see `layers.convolution`."""
    if step.depthwise is None:
        return product(x, step) if len(x) == 1 else full_convolution(in_layout(x), step)
    depthwise = (step.depthwise * style_gain(step)).to(x.dtype)
    x = functional.conv2d(in_layout(x), depthwise, padding=1, groups=x.shape[1])
    offset = step.bias[None, :, None, None]
    if step.noise is not None:
        offset = in_layout(offset + step.noise)
    return bounded(pointwise(x, step.weight[:, :, 0, 0], step.styles, offset.to(x.dtype)), HALF_CLAMP)


def product(x: Tensor, step: Step) -> Tensor:
    """A full 3 x 3 convolution of one small map as a matrix product, for which the kernel stays as it lies."""
    pixels = functional.unfold(modulated(x, step.styles * style_gain(step)), 3, padding=1)[0]
    mixed = torch.addmm(step.bias[:, None].to(x.dtype), step.weight.flatten(1).to(x.dtype), pixels)
    mixed = mixed.reshape(1, -1, *x.shape[2:])
    if step.noise is not None:
        mixed = mixed + step.noise.to(x.dtype)
    return functional.leaky_relu_(mixed, LEAKY_SLOPE)


def pointwise(x: Tensor, weight: Tensor, styles: Tensor, offset: Tensor) -> Tensor:
    """A modulated 1 x 1 convolution as one matrix product per image, and leaky ReLU, in the memory layout of x.

    `offset`, (1 or batch, out, height, width) or (1, out, 1, 1), is added. The activation is written into the product
    before its axes are moved: written into a view, autograd copies the gradient of the whole product.
    """
    batch, channels, height, width = x.shape
    kernels = (weight * styles[:, None]).to(x.dtype)
    if x.is_contiguous():
        mixed = torch.baddbmm(offset.flatten(2), kernels, x.reshape(batch, channels, height * width))
        return functional.leaky_relu_(mixed, LEAKY_SLOPE).reshape(batch, -1, height, width)
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
    mixed = torch.baddbmm(offset.permute(0, 2, 3, 1).flatten(1, 2), pixels, kernels.transpose(1, 2))
    return functional.leaky_relu_(mixed, LEAKY_SLOPE).reshape(batch, height, width, -1).permute(0, 3, 1, 2)
