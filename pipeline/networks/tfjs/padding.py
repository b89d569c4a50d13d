"""TensorFlow's padding SAME: as many output positions as the size divided by the stride, rounded up.

The zeros are split evenly; an odd one is added below and to the right. Torch's own padding is symmetric, so that it
differs at stride 2.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional


def margins(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Positions to add before and after an axis of `size` positions.

    >>> margins(112, kernel=3, stride=2), margins(56, kernel=3, stride=1)
    ((0, 1), (1, 1))
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def padded(maps: Tensor, kernel: tuple[int, int], stride: tuple[int, int], value: float = 0.0) -> Tensor:
    """Maps (N, C, H, W) with the margins that SAME adds for a kernel and a stride, each (height, width)."""
    top, bottom = margins(maps.shape[2], kernel[0], stride[0])
    left, right = margins(maps.shape[3], kernel[1], stride[1])
    if not (top or bottom or left or right):
        return maps
    return functional.pad(maps, (left, right, top, bottom), value=value)


def max_pool_same(maps: Tensor, kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Maxima over windows with padding SAME; the margins take no part."""
    return functional.max_pool2d(padded(maps, kernel, stride, float("-inf")), kernel, stride)


class SameConv2d(nn.Conv2d):
    """A convolution with padding SAME: (N, C, H, W) -> (N, C', ceil(H / stride), ceil(W / stride))."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, **options: Any) -> None:
        super().__init__(inputs, outputs, kernel, stride, **options)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = (self.kernel_size[0], self.kernel_size[1]), (self.stride[0], self.stride[1])
        return same_convolution(input, self.weight, self.bias, kernel, stride, self.groups)


def same_convolution(
    maps: Tensor, weight: Tensor, bias: Tensor | None, kernel: tuple[int, int], stride: tuple[int, int], groups: int
) -> Tensor:
    """A convolution with padding SAME. Even margins are left to torch's convolution, which needs no padded copy."""
    sides = [margins(maps.shape[2 + axis], kernel[axis], stride[axis]) for axis in (0, 1)]
    if all(before == after for before, after in sides):
        even = (sides[0][0], sides[1][0])
        return functional.conv2d(maps, weight, bias, stride, even, groups=groups)
    return functional.conv2d(padded(maps, kernel, stride), weight, bias, stride, groups=groups)
