"""The layers of a MobileStyleGAN generator: the reference implementation.

Belousov, arXiv 2104.04767. Nothing is demodulated at run time. Unlike StyleGAN2's, activations are not multiplied by
sqrt(2), and weights by no gain: styles are divided by the root of what a kernel sums over, and everything else is part
of the weights.

The code is written for reading and for testing `stylegan.mobile.fused`, which has fast versions of the same functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stylegan.layers import bias_activation

HALF_CLAMP = 256.0
"""Bound of activations in float16, as NVIDIA's."""
BAND_CLAMP = 8192.0
"""Bound of modulated wavelet bands in float16; the sum of four stays in its range."""


class Step(NamedTuple):
    """One convolution of a block, ready for a batch: its kernels, and the styles and the noise of its images."""

    weight: Tensor
    """(out, in, 1, 1) after a depthwise kernel, (out, in, 3, 3) without one."""
    bias: Tensor
    """(out,)"""
    styles: Tensor
    """(batch, in), as the affine layer computes them."""
    noise: Tensor | None
    """(1 or batch, 1, height, width), already scaled; None for no noise."""
    depthwise: Tensor | None = None
    """(in, 1, 3, 3): one kernel for each channel; None for a full convolution."""


class Block(NamedTuple):
    """The layers of one resolution, ready for a batch."""

    up_styles: Tensor
    """(batch, in), of the wavelet bands, as the affine layer computes them."""
    first: Step
    second: Step
    dtype: torch.dtype
    """The type in which the block computes."""


def style_gain(step: Step) -> float:
    """The factor of a convolution's styles: one over the root of the nine pixels of every channel."""
    return 1 / math.sqrt(9 * step.styles.shape[1])


def bounded(x: Tensor, most: float) -> Tensor:
    """x, bounded to [-most, most] in float16, whose largest number is 65,504; x itself in other types.

    Codes three times as far from the average as random ones reach 110,000; random ones stay below both bounds.
    """
    return x.clamp(-most, most) if x.dtype == torch.float16 else x


def modulated(x: Tensor, styles: Tensor) -> Tensor:
    """x (batch, channels, height, width), each channel of each image multiplied by its style (batch, channels)."""
    return x * styles.to(x.dtype)[:, :, None, None]


def convolution(x: Tensor, step: Step) -> Tensor:
    """Modulation, convolution, noise, bias and leaky ReLU: (batch, out, height, width)."""
    x = modulated(x, step.styles * style_gain(step))
    if step.depthwise is not None:
        x = functional.conv2d(x, step.depthwise.to(x.dtype), padding=1, groups=x.shape[1])
    x = functional.conv2d(x, step.weight.to(x.dtype), padding=step.weight.shape[2] // 2)
    if step.noise is not None:
        x = x + step.noise.to(x.dtype)
    return bounded(bias_activation(x, step.bias, gain=1.0), HALF_CLAMP)


def inverse_haar(x: Tensor) -> Tensor:
    """Wavelet bands (batch, 4 c, height, width) -> (batch, c, 2 height, 2 width).

    The first c channels are the low band. The others are, for each channel in turn, its three high bands: the
    difference of rows, of columns, and of both.
    """
    batch, bands, height, width = x.shape
    channels = bands // 4
    low = x[:, :channels]
    rows, columns, both = x[:, channels:].reshape(batch, channels, 3, height, width).unbind(dim=2)
    even, odd = low + rows, low - rows
    even_change, odd_change = columns + both, columns - both
    pixels = torch.stack([even + even_change, even - even_change, odd + odd_change, odd - odd_change], dim=2) / 2
    pixels = pixels.reshape(batch, channels, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
    return pixels.reshape(batch, channels, 2 * height, 2 * width)


def block(x: Tensor, layers: Block) -> Tensor:
    """A block: (batch, in, height, width) -> (batch, out, 2 height, 2 width)."""
    x = inverse_haar(bounded(modulated(x.to(layers.dtype), layers.up_styles), BAND_CLAMP))
    return convolution(convolution(x, layers.first), layers.second)


def images(x: Tensor, blocks: Sequence[Block], head: Step) -> Tensor:
    """All blocks after the first, and the layer to the image: (batch, in, 4, 4) -> (batch, 3, height, width)."""
    for layers in blocks:
        x = block(x, layers)
    return to_image(x, head)


def to_image(x: Tensor, step: Step) -> Tensor:
    """Feature map (batch, in, height, width) -> wavelet bands -> image (batch, 3, 2 height, 2 width)."""
    x = modulated(x, step.styles / math.sqrt(x.shape[1]))
    return inverse_haar(functional.conv2d(x, step.weight.to(x.dtype), step.bias.to(x.dtype)))
