"""The synthesis network: ws -> image, in blocks of doubling resolution.

Names, shapes and initial values agree with NVIDIA's stylegan2-ada-pytorch (`training/networks.py`): the skip
architecture (Karras et al., CVPR 2020, figure 7b), fixed noise, no labels.
"""

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from stylegan import fused as fused_forms
from stylegan import layers as plain_forms
from stylegan.architecture import Architecture
from stylegan.layers import FullyConnected, resampling_filter

Noise: TypeAlias = Literal["const", "none", "random"]
NOISES = ("const", "none", "random")
IMAGE_CHANNELS = 3
HALF_RESOLUTIONS = 4  # number of highest resolutions computed in half precision: NVIDIA's num_fp16_res
HALF_FROM = 8  # lowest resolution computed in half precision
HALF_CLAMP = 256.0  # NVIDIA's conv_clamp with half precision


class Styled(nn.Module):
    """Base of every layer with styles: an affine layer computes them, one for each channel."""

    def __init__(self, channels_in: int, w_dim: int) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, channels_in, bias_init=1.0)


class StyledLayer(Styled):
    """Base of the convolutions of the synthesis network: an affine layer for the styles, a kernel and a bias."""

    def __init__(self, channels_in: int, channels_out: int, w_dim: int, *, size: int) -> None:
        super().__init__(channels_in, w_dim)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, size, size))
        self.bias = nn.Parameter(torch.zeros(channels_out))


class SynthesisLayer(StyledLayer):
    """A modulated 3 x 3 convolution, noise, bias and leaky ReLU; doubles the resolution with `upsampling`."""

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        w_dim: int,
        *,
        resolution: int,
        upsampling: bool,
        clamp: float | None,
    ) -> None:
        super().__init__(channels_in, channels_out, w_dim, size=3)
        self.resolution = resolution
        self.upsampling = upsampling
        self.clamp = clamp
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", resampling_filter())

    def forward(self, x: Tensor, w: Tensor, *, noise: Noise, rng: torch.Generator | None, forms: ModuleType) -> Tensor:
        return forms.styled_conv2d(
            x,
            self.weight,
            self.affine(w),
            self.bias,
            noise=self.noise(noise, x, rng),
            upsampling_kernel=self.resample_filter if self.upsampling else None,
            clamp=clamp_of(self.clamp, x, w),
        )

    def noise(self, noise: Noise, x: Tensor, rng: torch.Generator | None) -> Tensor | None:
        """The scaled noise to add, (1 or batch, 1, resolution, resolution); None for the noise 'none'."""
        if noise == "none":
            return None
        if noise == "const":
            values = self.noise_const[None, None]
        else:
            shape = (x.shape[0], 1, self.resolution, self.resolution)
            values = torch.randn(shape, generator=rng, dtype=self.noise_const.dtype, device=x.device)
        return values * self.noise_strength


class ToRGB(StyledLayer):
    """A modulated 1 x 1 convolution to an image, without demodulation or activation."""

    def __init__(self, channels_in: int, w_dim: int, *, clamp: float | None) -> None:
        super().__init__(channels_in, IMAGE_CHANNELS, w_dim, size=1)
        self.clamp = clamp
        self.weight_gain = 1 / math.sqrt(channels_in)

    def forward(self, x: Tensor, w: Tensor, *, forms: ModuleType) -> Tensor:
        return forms.styled_conv2d(
            x,
            self.weight,
            self.affine(w) * self.weight_gain,
            self.bias,
            demodulate=False,
            activate=False,
            clamp=clamp_of(self.clamp, x, w),
        )


def clamp_of(clamp: float | None, x: Tensor, w: Tensor) -> float | None:
    """The bound of a layer's activations: `clamp`, or HALF_CLAMP if it is None and x is in float16 while w is not."""
    return HALF_CLAMP if clamp is None and x.dtype == torch.float16 != w.dtype else clamp


class SynthesisBlock(nn.Module):
    """The layers of one resolution: conv0 with upsampling, conv1, torgb.

    The first block has a learned constant instead of conv0. The code of a block's torgb is also read by the next
    block's conv0.
    """

    resample_filter: Tensor

    def __init__(
        self,
        channels_in: int | None,
        channels_out: int,
        w_dim: int,
        *,
        resolution: int,
        first_ws: int,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.register_buffer("resample_filter", resampling_filter())
        self.const: nn.Parameter | None = None
        self.conv0: SynthesisLayer | None = None
        if channels_in is None:
            self.const = nn.Parameter(torch.randn(channels_out, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(
                channels_in,
                channels_out,
                w_dim,
                resolution=resolution,
                upsampling=True,
                clamp=clamp,
            )
        self.conv1 = SynthesisLayer(
            channels_out,
            channels_out,
            w_dim,
            resolution=resolution,
            upsampling=False,
            clamp=clamp,
        )
        self.torgb = ToRGB(channels_out, w_dim, clamp=clamp)
        named = [("conv0", self.conv0), ("conv1", self.conv1), ("torgb", self.torgb)]
        present = [(name, layer) for name, layer in named if layer is not None]
        self.ws_indices = {name: first_ws + k for k, (name, _) in enumerate(present)}

    def features(
        self,
        x: Tensor | None,
        ws: Tensor,
        *,
        noise: Noise,
        rng: torch.Generator | None,
        forms: ModuleType,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """The previous block's feature map (None for the first block) -> this block's, (batch, channels, r, r).

        Computed in `dtype`; None means the type of ws.
        """
        dtype = ws.dtype if dtype is None else dtype
        if self.conv0 is None:
            assert self.const is not None
            x = self.const.to(dtype).expand(ws.shape[0], -1, -1, -1)
        else:
            assert x is not None
            w = ws[:, self.ws_indices["conv0"]]
            x = self.conv0(x.to(dtype), w, noise=noise, rng=rng, forms=forms)
        w = ws[:, self.ws_indices["conv1"]]
        return self.conv1(x, w, noise=noise, rng=rng, forms=forms)

    def add_to_image(self, image: Tensor | None, x: Tensor, ws: Tensor, *, forms: ModuleType) -> Tensor:
        """The upsampled image of the previous blocks (None for the first block) plus this block's RGB."""
        rgb: Tensor = self.torgb(x, ws[:, self.ws_indices["torgb"]], forms=forms).to(ws.dtype)
        if image is None:
            return rgb
        upsampled: Tensor = forms.upsample(image, self.resample_filter)
        return upsampled + rgb


class SynthesisNetwork(nn.Module):
    """ws -> image, in blocks b4, b8, ... of doubling resolution.

    `fused` selects the fast layers (`stylegan.fused`) or the reference layers (`stylegan.layers`). Both give the same
    images up to rounding. It can be changed at any time.

    `half_type`, float16 or bfloat16, is the type in which the four highest resolutions (from 8 px) are computed, as in
    NVIDIA's code on a GPU. None, the default, computes everything in the type of ws. Styles, demodulation and the
    image keep the type of ws. Activations of these blocks are bounded by `conv_clamp`, or by 256 if the generator has
    no bound. Half precision changes pixels (by about .01 in float16). It can be changed at any time.
    """

    def __init__(self, architecture: Architecture, *, fused: bool = True) -> None:
        super().__init__()
        self.resolution = architecture.resolution
        self.num_ws = architecture.num_ws
        self.w_dim = architecture.w_dim
        self.fused = fused
        self.half_type: torch.dtype | None = None
        self.block_names: list[str] = []
        self.add_blocks(architecture)

    def add_blocks(self, architecture: Architecture) -> None:
        """Add the blocks, and append their names to `block_names`."""
        channels_in = None
        first_ws = 0
        for resolution in sorted(architecture.channels):
            block = SynthesisBlock(
                channels_in,
                architecture.channels[resolution],
                architecture.w_dim,
                resolution=resolution,
                first_ws=first_ws,
                clamp=architecture.conv_clamp,
            )
            self.add_module(f"b{resolution}", block)
            self.block_names.append(f"b{resolution}")
            channels_in = architecture.channels[resolution]
            first_ws = block.ws_indices["torgb"]

    def blocks(self) -> Iterator[tuple[str, SynthesisBlock]]:
        """Pairs of name and block, from 4 px up."""
        for name in self.block_names:
            block = self.get_submodule(name)
            assert isinstance(block, SynthesisBlock)
            yield name, block

    def styled_layers(self) -> Iterator[tuple[str, int, Styled]]:
        """All layers with styles, in the order of computation: (name, index of its code, layer)."""
        for block_name, block in self.blocks():
            for name, index in block.ws_indices.items():
                layer = block.get_submodule(name)
                assert isinstance(layer, StyledLayer)
                yield f"{block_name}.{name}", index, layer

    def forward(self, ws: Tensor, *, noise: Noise = "const", rng: torch.Generator | None = None) -> Tensor:
        """ws (batch, num_ws, w_dim) -> images (batch, 3, resolution, resolution).

        Images are about [-1, 1], not clamped; channels are red, green, blue; rows start at the top. The noise 'const'
        is the stored noise, the same for every image; 'none' adds no noise; 'random' draws new noise from `rng`, for
        training. Raises ValueError for ws of another shape or an unknown noise.
        """
        self.check(ws, noise)
        image = None
        for (_, block), (_, x) in zip(self.blocks(), self.maps(ws, noise, rng), strict=True):
            image = block.add_to_image(image, x, ws, forms=self.forms)
        assert image is not None
        return image.contiguous()

    def maps(self, ws: Tensor, noise: Noise, rng: torch.Generator | None = None) -> Iterator[tuple[str, Tensor]]:
        """The feature map of each block in turn, in the type of that block: (name, (batch, channels, r, r))."""
        x = None
        for name, block in self.blocks():
            dtype = self.block_dtype(block.resolution, ws.dtype)
            x = block.features(x, ws, noise=noise, rng=rng, forms=self.forms, dtype=dtype)
            yield name, x

    def features(self, ws: Tensor, layer: str | int, *, noise: Noise = "const") -> Tensor:
        """The feature map (batch, channels, r, r) after one block, named 'b16' or 16.

        Later blocks and the image are not computed. Raises ValueError for a block that the network does not have.
        """
        last = f"b{layer}" if isinstance(layer, int) else layer
        if last not in self.block_names:
            known = ", ".join(self.block_names)
            raise ValueError(f"The generator has no block {layer!r}. Known: {known}.")
        self.check(ws, noise)
        x = next(x for name, x in self.maps(ws, noise) if name == last)
        return x.to(ws.dtype).contiguous()

    def block_dtype(self, resolution: int, dtype: torch.dtype) -> torch.dtype:
        """The type in which the block of a resolution computes, given the type of ws."""
        largest = int(self.block_names[-1].removeprefix("b"))
        first = max(2 * largest >> HALF_RESOLUTIONS, HALF_FROM)
        return dtype if self.half_type is None or resolution < first else self.half_type

    @property
    def forms(self) -> ModuleType:
        """The module with the layer functions: `stylegan.fused` or `stylegan.layers`."""
        return fused_forms if self.fused else plain_forms

    def check(self, ws: Tensor, noise: str) -> None:
        """Raise ValueError unless ws is (batch, num_ws, w_dim) and `noise` is a known name."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f"ws must be (batch, {self.num_ws}, {self.w_dim}), not {tuple(ws.shape)}. "
                "One w per face becomes ws with mapping.broadcast(w)."
            )
        if noise not in NOISES:
            raise ValueError(f"No noise named {noise!r}. Known: {', '.join(NOISES)}.")
