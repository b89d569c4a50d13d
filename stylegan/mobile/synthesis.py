"""The synthesis network of MobileStyleGAN: ws -> image, in blocks of doubling resolution.

Codes are numbered as StyleGAN2's: 0 is read by the first convolution (4 px), 2 k - 1 by `up` and `conv1` of the k-th
block after it, 2 k by its `conv2`, the last one by the layer to the image. So a layer table of the literature means the
same resolutions here. The two codes of StyleGAN2's highest resolution do not exist: there the image is a transform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from stylegan.architecture import Architecture
from stylegan.mobile import fused as fused_forms
from stylegan.mobile import layers as plain_forms
from stylegan.mobile.layers import Block, Step
from stylegan.synthesis import IMAGE_CHANNELS, Noise, Styled, SynthesisNetwork

BANDS = 4
"""Wavelet bands, which become the pixels of a square of two by two."""


class MobileConv(Styled):
    """A modulated convolution, full or depthwise and pointwise, with its noise, already scaled, and its bias."""

    noise_const: Tensor

    def __init__(self, channels_in: int, channels_out: int, w_dim: int, *, resolution: int, depthwise: bool) -> None:
        super().__init__(channels_in, w_dim)
        size = 1 if depthwise else 3
        self.depthwise = nn.Parameter(torch.randn(channels_in, 1, 3, 3)) if depthwise else None
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, size, size))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.register_buffer("noise_const", 0.1 * torch.randn(resolution, resolution))

    def step(self, w: Tensor, noise: Noise, rng: torch.Generator | None) -> Step:
        """The convolution for codes w (batch, w_dim)."""
        return Step(self.weight, self.bias, self.affine(w), self.noise(noise, len(w), rng), self.depthwise)

    def noise(self, noise: Noise, batch: int, rng: torch.Generator | None) -> Tensor | None:
        """The noise to add, (1 or batch, 1, resolution, resolution); None for the noise 'none'.

        New noise has the standard deviation of the stored noise: its strength is known in no other way.
        """
        if noise == "none":
            return None
        values = self.noise_const[None, None]
        if noise == "const":
            return values
        shape = (batch, *values.shape[1:])
        drawn = torch.randn(shape, generator=rng, dtype=values.dtype, device=values.device)
        return drawn * values.std(correction=0)


class MobileToRGB(Styled):
    """A modulated 1 x 1 convolution to the wavelet bands of the image."""

    def __init__(self, channels_in: int, w_dim: int) -> None:
        super().__init__(channels_in, w_dim)
        self.weight = nn.Parameter(torch.randn(BANDS * IMAGE_CHANNELS, channels_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(BANDS * IMAGE_CHANNELS))


class MobileBlock(nn.Module):
    """The layers of one resolution: `up`, `conv1` and `conv2`; in the first block a constant and `conv1` only."""

    def __init__(
        self, channels_in: int | None, channels_out: int, w_dim: int, *, resolution: int, first_ws: int
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.first_ws = first_ws
        self.const: nn.Parameter | None = None
        self.up: Styled | None = None
        self.conv2: MobileConv | None = None
        if channels_in is None:
            self.const = nn.Parameter(torch.randn(channels_out, resolution, resolution))
            self.conv1 = MobileConv(channels_out, channels_out, w_dim, resolution=resolution, depthwise=False)
        else:
            channels = channels_in // BANDS
            self.up = Styled(channels_in, w_dim)
            self.conv1 = MobileConv(channels, channels_out, w_dim, resolution=resolution, depthwise=True)
            self.conv2 = MobileConv(channels_out, channels_out, w_dim, resolution=resolution, depthwise=True)

    def styled_layers(self) -> Iterator[tuple[str, int, Styled]]:
        """The layers with styles, in the order of computation: (name, index of its code, layer)."""
        first = self.first_ws
        named = (("up", first, self.up), ("conv1", first, self.conv1), ("conv2", first + 1, self.conv2))
        return ((name, index, layer) for name, index, layer in named if layer is not None)

    def start(self, ws: Tensor, noise: Noise, rng: torch.Generator | None, forms: ModuleType) -> Tensor:
        """The feature map of the first block, (batch, channels, 4, 4)."""
        assert self.const is not None
        step = self.conv1.step(ws[:, self.first_ws], noise, rng)
        found: Tensor = forms.convolution(self.const.to(ws.dtype).expand(len(ws), -1, -1, -1), step)
        return found

    def layers(self, ws: Tensor, noise: Noise, rng: torch.Generator | None, dtype: torch.dtype) -> Block:
        """The layers of any other block, for a batch, to be computed in `dtype`."""
        assert self.up is not None and self.conv2 is not None
        w = ws[:, self.first_ws]
        second = self.conv2.step(ws[:, self.first_ws + 1], noise, rng)
        return Block(self.up.affine(w), self.conv1.step(w, noise, rng), second, dtype)


class MobileSynthesis(SynthesisNetwork):
    """ws -> image, in blocks b4, b8, ... up to half of the image's resolution, then the layer to the image, `torgb`.

    `fused` selects the fast layers (`stylegan.mobile.fused`) or the reference layers (`stylegan.mobile.layers`).
    `half_type` is the type of the four highest resolutions of feature maps and of the image's wavelet bands.
    """

    torgb: MobileToRGB

    def add_blocks(self, architecture: Architecture) -> None:
        channels_in = None
        for index, (resolution, channels) in enumerate(sorted(architecture.channels.items())):
            first_ws = max(2 * index - 1, 0)
            block = MobileBlock(channels_in, channels, self.w_dim, resolution=resolution, first_ws=first_ws)
            self.add_module(f"b{resolution}", block)
            self.block_names.append(f"b{resolution}")
            channels_in = channels
        assert channels_in is not None
        self.torgb = MobileToRGB(channels_in, self.w_dim)

    def mobile_blocks(self) -> Iterator[tuple[str, MobileBlock]]:
        """Pairs of name and block, from 4 px up."""
        for name in self.block_names:
            block = self.get_submodule(name)
            assert isinstance(block, MobileBlock)
            yield name, block

    def styled_layers(self) -> Iterator[tuple[str, int, Styled]]:
        for block_name, block in self.mobile_blocks():
            for name, index, layer in block.styled_layers():
                yield f"{block_name}.{name}", index, layer
        yield f"b{self.resolution}.torgb", self.num_ws - 1, self.torgb

    def forward(self, ws: Tensor, *, noise: Noise = "const", rng: torch.Generator | None = None) -> Tensor:
        self.check(ws, noise)
        parts = [self._images(part, noise, rng) for part in self._apart(ws, noise)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def features(self, ws: Tensor, layer: str | int, *, noise: Noise = "const") -> Tensor:
        self.check(ws, noise)
        return torch.cat([super(MobileSynthesis, self).features(w, layer, noise=noise) for w in self._apart(ws, noise)])

    def _apart(self, ws: Tensor, noise: Noise) -> Sequence[Tensor]:
        """The codes one by one where the fast layers make images one by one, all of them elsewhere.

        An image is then the same to the bit with any number of others. New noise is drawn for all images at once.
        """
        if not self.fused or ws.device.type != "cpu" or noise == "random":
            return (ws,)
        recorded = ws.requires_grad or any(parameter.requires_grad for parameter in self.parameters())
        return (ws,) if recorded and torch.is_grad_enabled() else ws.split(1)

    def _images(self, ws: Tensor, noise: Noise, rng: torch.Generator | None) -> Tensor:
        first, *others = [block for _, block in self.mobile_blocks()]
        x = first.start(ws, noise, rng, self.forms)
        blocks = [block.layers(ws, noise, rng, self.block_dtype(block.resolution, ws.dtype)) for block in others]
        head = Step(self.torgb.weight, self.torgb.bias, self.torgb.affine(ws[:, -1]), noise=None)
        image: Tensor = self.forms.images(x, blocks, head)
        return image.to(ws.dtype).contiguous()

    def maps(self, ws: Tensor, noise: Noise, rng: torch.Generator | None = None) -> Iterator[tuple[str, Tensor]]:
        (name, first), *others = self.mobile_blocks()
        x = first.start(ws, noise, rng, self.forms)
        yield name, x
        for name, block in others:
            x = self.forms.block(x, block.layers(ws, noise, rng, self.block_dtype(block.resolution, ws.dtype)))
            yield name, x

    @property
    def forms(self) -> ModuleType:
        """The module with the layer functions: `stylegan.mobile.fused` or `stylegan.mobile.layers`."""
        return fused_forms if self.fused else plain_forms
