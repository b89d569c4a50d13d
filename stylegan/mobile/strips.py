"""Blocks of MobileStyleGAN computed in strips of rows, on a CPU: what is written is read while it is in the cache.

Each block keeps the last two rows of what its depthwise kernels read, and hands on the rows that they allow. So no
feature map of a high resolution is ever whole in memory.
Channels are the innermost dimension. The four wavelet bands are kept apart: the rows of the kernel before them are
sorted by band.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stylegan.layers import LEAKY_SLOPE
from stylegan.mobile.layers import BAND_CLAMP, HALF_CLAMP, Block, Step, bounded, style_gain

STRIP = 2**19
"""Numbers in a strip, about. Strips of a quarter of it are a third slower, strips of twice as many a little."""
HAAR = ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, -1.0, -1.0), (1.0, -1.0, 1.0, -1.0), (1.0, -1.0, -1.0, 1.0))
"""Twice the inverse Haar transform: the four pixels of a square (rows) from the four bands (columns)."""
HALF = 0.5
COLOURS = 3

Strip = tuple[Tensor, bool]  # rows (height, width, channels) of one image, and whether they are its last


def block(x: Tensor, layers: Block) -> Tensor:
    """A block; see `layers.block`."""
    batch, _, height, width = x.shape
    made = x.new_empty(batch, 2 * height, 2 * width, len(layers.second.weight), dtype=layers.dtype)
    for index, image in enumerate(x):
        done = 0
        for rows, _ in _rows(_start(image), layers, index, None):
            made[index, done : done + len(rows)] = rows
            done += len(rows)
    return made.permute(0, 3, 1, 2)


def images(x: Tensor, blocks: Sequence[Block], head: Step) -> Tensor:
    """All blocks after the first, and the layer to the image; see `layers.images`."""
    side = x.shape[2] << len(blocks)
    made = x.new_empty(len(x), COLOURS, 2 * side, 2 * side)
    for index, image in enumerate(x):
        rows = _start(image)
        for number, layers in enumerate(blocks):
            channels = len(layers.second.weight)
            rows = _rows(rows, layers, index, _bands(channels) if number < len(blocks) - 1 else None)
        _draw(rows, head, index, made[index])
    return made


def _start(x: Tensor) -> Iterator[Strip]:
    """A feature map (channels, height, width) as one strip, sorted by band."""
    yield x.permute(1, 2, 0)[:, :, _bands(len(x))], True


def _bands(channels: int) -> Tensor:
    """The channels sorted by wavelet band; see `layers.inverse_haar`."""
    low = torch.arange(channels // 4)
    return torch.cat([low, *(channels // 4 + 3 * low + band for band in range(3))])


def _rows(strips: Iterable[Strip], layers: Block, index: int, order: Tensor | None) -> Iterator[Strip]:
    """The rows of a block's feature map for image `index`, from the rows of the previous block's.

    Channels of the input are sorted by band; channels of the output are in the order `order`, or as they are.
    """
    first = second = None
    for strip, last in strips:
        if first is None or second is None:
            width, channels = 2 * strip.shape[1], len(layers.second.weight)
            at_once = max(2, STRIP // (2 * width * channels) // 2 * 2)
            first = _Convolution(layers.first, index, width, 2 * at_once, layers.dtype, gain=HALF)
            second = _Convolution(layers.second, index, width, 2 * at_once, layers.dtype, order=order)
            styles = layers.up_styles[index][_bands(strip.shape[2])].to(layers.dtype)
        parts = strip.to(layers.dtype).split(at_once)
        for number, part in enumerate(parts):
            end = last and number == len(parts) - 1
            _inverse_haar(bounded(part * styles, BAND_CLAMP), first.room(2 * len(part)))
            filtered = first.filtered(2 * len(part), end)
            first.mixed(filtered, second.room(len(filtered)))
            filtered = second.filtered(len(filtered), end)
            made = filtered.new_empty(*filtered.shape[:2], channels)
            second.mixed(filtered, made)
            yield made, end


def _inverse_haar(bands: Tensor, pixels: Tensor) -> None:
    """Write twice the inverse Haar transform of bands (h, w, 4 c), sorted by band, into pixels (2 h, 2 w, c)."""
    low, rows, columns, both = bands.chunk(4, dim=2)
    even, odd, even_change, odd_change = low + rows, low - rows, columns + both, columns - both
    torch.add(even, even_change, out=pixels[0::2, 0::2])
    torch.sub(even, even_change, out=pixels[0::2, 1::2])
    torch.add(odd, odd_change, out=pixels[1::2, 0::2])
    torch.sub(odd, odd_change, out=pixels[1::2, 1::2])


class _Convolution:
    """A depthwise and pointwise convolution of one image, some rows at a time."""

    def __init__(
        self,
        step: Step,
        index: int,
        width: int,
        rows: int,
        dtype: torch.dtype,
        *,
        gain: float = 1.0,
        order: Tensor | None = None,
    ) -> None:
        assert step.depthwise is not None
        kernel = step.weight[:, :, 0, 0] * step.styles[index]
        bias = step.bias
        if order is not None:
            kernel, bias = kernel[order], bias[order]
        self.kernel = kernel.to(dtype).T
        self.bias = bias.to(dtype)
        self.depthwise = (step.depthwise * (gain * style_gain(step))).to(dtype)
        noise = None if step.noise is None else step.noise[index % len(step.noise)].to(dtype)
        self.noise = None if noise is None else noise.reshape(-1, width, 1)
        # Two rows that were read before, the row below the image, and one more row than a strip at its end.
        self.read = self.kernel.new_zeros(rows + 4, width, len(self.depthwise))
        self.filled = 1  # the row above the image is zero
        self.done = 0

    def room(self, rows: int) -> Tensor:
        """Where the next rows are to be written, (rows, width, in)."""
        return self.read[self.filled : self.filled + rows]

    def filtered(self, rows: int, last: bool) -> Tensor:
        """The depthwise convolution after `rows` more rows were written: all rows whose neighbours are there."""
        self.filled += rows
        if last:
            self.read[self.filled] = 0
            self.filled += 1
        x = self.read[: self.filled][None].permute(0, 3, 1, 2)
        x = functional.conv2d(x, self.depthwise, padding=(0, 1), groups=len(self.depthwise))
        self.read[:2] = self.read[self.filled - 2 : self.filled].clone()
        self.filled = 2
        return x.permute(0, 2, 3, 1)[0]

    def mixed(self, filtered: Tensor, out: Tensor) -> None:
        """Write pointwise convolution, noise, bias and leaky ReLU of the next rows into `out` (rows, width, out)."""
        rows = slice(self.done, self.done + len(filtered))
        self.done = rows.stop
        if self.noise is None:
            out[:] = self.bias
        else:
            torch.add(self.noise[rows], self.bias, out=out)
        out.view(-1, out.shape[2]).addmm_(filtered.reshape(-1, filtered.shape[2]), self.kernel)
        functional.leaky_relu_(out, LEAKY_SLOPE)
        if out.dtype == torch.float16:
            out.clamp_(-HALF_CLAMP, HALF_CLAMP)


def _draw(strips: Iterable[Strip], head: Step, index: int, image: Tensor) -> None:
    """Write the image (3, 2 h, 2 w) of image `index`: the layer to the bands and the transform are one matrix."""
    order = _bands(4 * COLOURS)
    haar = head.weight.new_tensor(HAAR) * HALF
    kernel = head.weight[:, :, 0, 0] * (head.styles[index] / math.sqrt(head.weight.shape[1]))
    kernel = torch.einsum("pb,bcn->cpn", haar, kernel[order].unflatten(0, (4, COLOURS))).flatten(0, 1)
    bias = torch.einsum("pb,bc->cp", haar, head.bias[order].unflatten(0, (4, COLOURS))).reshape(-1, 1)
    done = 0
    for strip, _ in strips:
        pixels = torch.addmm(bias.to(strip.dtype), kernel.to(strip.dtype), strip.flatten(0, 1).T)
        height, width = strip.shape[:2]
        squares = image[:, 2 * done : 2 * (done + height)].unflatten(2, (width, 2)).unflatten(1, (height, 2))
        squares.copy_(pixels.reshape(COLOURS, 2, 2, height, width).permute(0, 3, 1, 4, 2))
        done += height
