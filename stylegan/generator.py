"""The StyleGAN2 generator: z -> w -> ws -> image, and what editing methods want in between.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, with the skip
architecture of their figure 7b, fixed noise, no class labels. Names, shapes and start values of
parameters and buffers are those of NVIDIA's stylegan2-ada-pytorch (`training/networks.py`), and the
same numbers in give the same image out. Departures from that code:

- the width of every resolution can be given (`channels`), for small generators;
- the average w is never updated as a side effect; see `MappingNetwork.track_average_w`;
- only the skip architecture without labels exists;
- noise is 'const' unless asked otherwise, in training mode too;
- half precision is off until asked for, on any device; see `SynthesisNetwork.half_type`.

    generator = Generator(resolution=64, channels={4: 128, 8: 128, 16: 96, 32: 64, 64: 32})
    ws = generator.mapping(z, truncation_psi=0.7)
    images = generator.synthesis(ws)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from stylegan import fused as fused_forms
from stylegan import layers as plain_forms
from stylegan.layers import FullyConnected, normalize_second_moment, resampling_filter

Noise: TypeAlias = Literal["const", "none", "random"]
NOISES = ("const", "none", "random")
IMAGE_CHANNELS = 3
HALF_RESOLUTIONS = 4  # NVIDIA's num_fp16_res: so many of the highest resolutions
HALF_FROM = 8  # and none below this
HALF_CLAMP = 256.0  # NVIDIA's conv_clamp wherever it uses half precision


class AffineWeight(NamedTuple):
    """How one layer of the synthesis network makes its styles from its w."""

    name: str
    """The layer's name within the synthesis network, such as 'b16.conv0'."""
    ws_index: int
    """Which of the `num_ws` codes the layer reads."""
    weight: Tensor
    """(channels in, w_dim), as multiplied with w: the gain is applied."""


def default_channels(resolution: int, *, channel_base: int = 32768, channel_max: int = 512) -> dict[int, int]:
    """NVIDIA's width per resolution: channel_base / resolution, at most channel_max."""
    return {r: min(channel_base // r, channel_max) for r in resolutions_up_to(resolution)}


def resolutions_up_to(resolution: int) -> list[int]:
    """4, 8, 16, ... `resolution`. ValueError if that is not a power of two from 4."""
    if resolution < 4 or resolution & (resolution - 1):
        raise ValueError(f"A generator's resolution is a power of two and at least 4, not {resolution}.")
    return [2**k for k in range(2, resolution.bit_length())]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """All that has to be known to rebuild a generator before its weights are loaded."""

    resolution: int
    channels: dict[int, int]
    z_dim: int = 512
    w_dim: int = 512
    mapping_layers: int = 8
    conv_clamp: float | None = None

    def __post_init__(self) -> None:
        wanted = resolutions_up_to(self.resolution)
        if sorted(self.channels) != wanted:
            raise ValueError(
                f"A generator of {self.resolution} px needs channels for the resolutions {wanted}; "
                f"got {sorted(self.channels)}."
            )
        sizes = {"z_dim": self.z_dim, "w_dim": self.w_dim, "mapping_layers": self.mapping_layers}
        sizes |= {f"channels[{r}]": n for r, n in self.channels.items()}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, not {size}.")

    @property
    def num_ws(self) -> int:
        """How many codes w the synthesis network reads: two per resolution."""
        return 2 * len(self.channels)


class MappingNetwork(nn.Module):
    """z -> w: `mapping_layers` fully connected layers on the normalised z.

    The learning rate of these layers is a hundredth of the others' (`lr_multiplier`).
    """

    w_avg: Tensor

    def __init__(self, architecture: Architecture, *, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        self.z_dim = architecture.z_dim
        self.w_dim = architecture.w_dim
        self.num_ws = architecture.num_ws
        self.num_layers = architecture.mapping_layers
        for index in range(self.num_layers):
            features_in = self.z_dim if index == 0 else self.w_dim
            layer = FullyConnected(features_in, self.w_dim, activate=True, lr_multiplier=lr_multiplier)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(self.w_dim))

    def map_to_w(self, z: Tensor) -> Tensor:
        """z (batch, z_dim) -> w (batch, w_dim), not truncated."""
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"z must be (batch, {self.z_dim}), not {tuple(z.shape)}.")
        w = normalize_second_moment(z)
        for index in range(self.num_layers):
            w = self.get_submodule(f"fc{index}")(w)
        return w

    def broadcast(self, w: Tensor, *, truncation_psi: float = 1.0, truncation_cutoff: int | None = None) -> Tensor:
        """w (batch, w_dim) -> ws (batch, num_ws, w_dim), drawn towards the average w.

        `truncation_psi` of 1 changes nothing, 0 answers the average. Codes from index
        `truncation_cutoff` on stay as they are.
        """
        ws = w[:, None].expand(-1, self.num_ws, -1)
        if truncation_psi == 1.0:
            return ws.contiguous()
        psi = torch.full((self.num_ws, 1), float(truncation_psi), dtype=w.dtype, device=w.device)
        if truncation_cutoff is not None:
            psi[truncation_cutoff:] = 1.0
        return torch.lerp(self.w_avg.to(w.dtype), ws, psi)

    def forward(self, z: Tensor, *, truncation_psi: float = 1.0, truncation_cutoff: int | None = None) -> Tensor:
        """z (batch, z_dim) -> ws (batch, num_ws, w_dim)."""
        return self.broadcast(self.map_to_w(z), truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)

    @torch.no_grad()
    def track_average_w(self, w: Tensor, *, decay: float = 0.995) -> None:
        """Move the average w towards the mean of w (batch, w_dim). For training loops."""
        self.w_avg.lerp_(w.detach().mean(dim=0).to(self.w_avg.dtype), 1 - decay)

    @torch.no_grad()
    def measure_average_w(self, *, samples: int = 100_000, seed: int = 0) -> None:
        """Set the average w to the mean over `samples` random z."""
        rng = torch.Generator().manual_seed(seed)
        total = torch.zeros(self.w_dim, dtype=torch.float64)
        for first in range(0, samples, 4096):
            z = torch.randn(min(4096, samples - first), self.z_dim, generator=rng)
            total += self.map_to_w(z.to(self.w_avg)).sum(dim=0).double().cpu()
        self.w_avg.copy_(total / samples)


class StyledLayer(nn.Module):
    """What every convolution of the synthesis network has: styles from w, then a convolution."""

    def __init__(self, channels_in: int, channels_out: int, w_dim: int, *, size: int) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, channels_in, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, size, size))
        self.bias = nn.Parameter(torch.zeros(channels_out))


class SynthesisLayer(StyledLayer):
    """A modulated 3 x 3 convolution, noise, bias and leaky ReLU; upsamples first if asked."""

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
        result: Tensor = forms.styled_conv2d(
            x,
            self.weight,
            self.affine(w),
            self.bias,
            noise=self.noise(noise, x, rng),
            upsampling_kernel=self.resample_filter if self.upsampling else None,
            clamp=clamp_of(self.clamp, x, w),
        )
        return result

    def noise(self, noise: Noise, x: Tensor, rng: torch.Generator | None) -> Tensor | None:
        """The scaled noise to add: (1 or batch, 1, resolution, resolution), or nothing."""
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
        result: Tensor = forms.styled_conv2d(
            x,
            self.weight,
            self.affine(w) * self.weight_gain,
            self.bias,
            demodulate=False,
            activate=False,
            clamp=clamp_of(self.clamp, x, w),
        )
        return result


def clamp_of(clamp: float | None, x: Tensor, w: Tensor) -> float | None:
    """The bound of a layer's activations: its own, or HALF_CLAMP where x is narrower than w and it has none."""
    return HALF_CLAMP if clamp is None and x.dtype != w.dtype else clamp


class SynthesisBlock(nn.Module):
    """The layers of one resolution: (conv0 with upsampling,) conv1, torgb.

    The first block starts from a learned constant and has no conv0. The last code that a block
    reads is shared with the next block's conv0.
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
        """The feature map of the block before (None for the first) -> this block's, in `dtype` (that of ws if None)."""
        dtype = ws.dtype if dtype is None else dtype
        if self.conv0 is None:
            assert self.const is not None
            x = self.const.to(dtype).expand(ws.shape[0], -1, -1, -1)
        else:
            assert x is not None
            w = ws[:, self.ws_indices["conv0"]]
            x = self.conv0(x.to(dtype), w, noise=noise, rng=rng, forms=forms)
        w = ws[:, self.ws_indices["conv1"]]
        result: Tensor = self.conv1(x, w, noise=noise, rng=rng, forms=forms)
        return result

    def add_to_image(self, image: Tensor | None, x: Tensor, ws: Tensor, *, forms: ModuleType) -> Tensor:
        """The image so far (None for the first block), upsampled, plus this block's."""
        rgb: Tensor = self.torgb(x, ws[:, self.ws_indices["torgb"]], forms=forms).to(ws.dtype)
        if image is None:
            return rgb
        upsampled: Tensor = forms.upsample(image, self.resample_filter)
        return upsampled + rgb


class SynthesisNetwork(nn.Module):
    """ws -> image, in blocks b4, b8, ... of doubling resolution.

    `fused` picks the fast forms of the layers (`stylegan.fused`); False gives the plain ones
    (`stylegan.layers`). Both answer the same up to rounding, and it may be switched at any time.

    `half_type`, float16 or bfloat16, is that in which the four highest resolutions (from 8 px) are computed, as
    NVIDIA's code does on a GPU; None, the default, computes everything in the type of ws. Styles, demodulation
    and the image stay in the type of ws; activations of those blocks are bounded by `conv_clamp`, or 256 where the
    generator has none. It changes pixels (by .01 or so in float16) and may be switched at any time.
    """

    def __init__(self, architecture: Architecture, *, fused: bool = True) -> None:
        super().__init__()
        self.resolution = architecture.resolution
        self.num_ws = architecture.num_ws
        self.w_dim = architecture.w_dim
        self.fused = fused
        self.half_type: torch.dtype | None = None
        self.block_names = []
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
        """The blocks by name, from 4 px up."""
        for name in self.block_names:
            block = self.get_submodule(name)
            assert isinstance(block, SynthesisBlock)
            yield name, block

    def styled_layers(self) -> Iterator[tuple[str, int, StyledLayer]]:
        """Every layer that has styles, in order: its name, the index of its code, itself."""
        for block_name, block in self.blocks():
            for name, index in block.ws_indices.items():
                layer = block.get_submodule(name)
                assert isinstance(layer, StyledLayer)
                yield f"{block_name}.{name}", index, layer

    def forward(self, ws: Tensor, *, noise: Noise = "const", rng: torch.Generator | None = None) -> Tensor:
        """ws (batch, num_ws, w_dim) -> images (batch, 3, resolution, resolution).

        About [-1, 1], not clamped; red, green, blue; rows from the top. `noise`: 'const' is the
        stored noise, the same for every image; 'none' adds none; 'random' draws it anew from
        `rng`, for training.
        """
        self.check(ws, noise)
        x = image = None
        for _, block in self.blocks():
            dtype = self.block_dtype(block.resolution, ws.dtype)
            x = block.features(x, ws, noise=noise, rng=rng, forms=self.forms, dtype=dtype)
            image = block.add_to_image(image, x, ws, forms=self.forms)
        assert image is not None
        return image.contiguous()

    def features(self, ws: Tensor, layer: str | int, *, noise: Noise = "const") -> Tensor:
        """The feature map (batch, channels, r, r) after one block, named 'b16' or 16.

        Blocks after it are not computed, nor is any image.
        """
        wanted = f"b{layer}" if isinstance(layer, int) else layer
        if wanted not in self.block_names:
            known = ", ".join(self.block_names)
            raise ValueError(f"The generator has no block {layer!r}. Known: {known}.")
        self.check(ws, noise)
        x = None
        for name, block in self.blocks():
            dtype = self.block_dtype(block.resolution, ws.dtype)
            x = block.features(x, ws, noise=noise, rng=None, forms=self.forms, dtype=dtype)
            if name == wanted:
                break
        assert x is not None
        return x.to(ws.dtype).contiguous()

    def block_dtype(self, resolution: int, dtype: torch.dtype) -> torch.dtype:
        """In what type the block of a resolution computes, where ws are of `dtype`."""
        first = max(2 * self.resolution >> HALF_RESOLUTIONS, HALF_FROM)
        return dtype if self.half_type is None or resolution < first else self.half_type

    @property
    def forms(self) -> ModuleType:
        """The module whose functions compute the layers."""
        return fused_forms if self.fused else plain_forms

    def check(self, ws: Tensor, noise: str) -> None:
        """ValueError if ws has not the shape, or noise not a name, that the network knows."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f"ws must be (batch, {self.num_ws}, {self.w_dim}), not {tuple(ws.shape)}. "
                "One w per face becomes ws with mapping.broadcast(w)."
            )
        if noise not in NOISES:
            raise ValueError(f"No noise named {noise!r}. Known: {', '.join(NOISES)}.")


class Generator(nn.Module):
    """Mapping and synthesis networks together, with random weights until some are loaded.

    `channels` gives the width of each resolution; left out, it is NVIDIA's rule of `channel_base`
    and `channel_max` (32768 and 512 is config-f). `conv_clamp` bounds activations, 256 in nets
    that NVIDIA trained with half precision. `fused` picks fast or plain forms of the layers.
    """

    def __init__(
        self,
        *,
        resolution: int,
        z_dim: int = 512,
        w_dim: int = 512,
        channel_base: int = 32768,
        channel_max: int = 512,
        channels: dict[int, int] | None = None,
        mapping_layers: int = 8,
        conv_clamp: float | None = None,
        architecture: str = "skip",
        fused: bool = True,
    ) -> None:
        super().__init__()
        if architecture != "skip":
            raise ValueError(
                f"Only generators of the 'skip' architecture are supported, not {architecture!r}: "
                "no public StyleGAN2 face checkpoint has another."
            )
        if channels is None:
            channels = default_channels(resolution, channel_base=channel_base, channel_max=channel_max)
        self.architecture = Architecture(
            resolution=resolution,
            channels=dict(sorted(channels.items())),
            z_dim=z_dim,
            w_dim=w_dim,
            mapping_layers=mapping_layers,
            conv_clamp=conv_clamp,
        )
        self.mapping = MappingNetwork(self.architecture)
        self.synthesis = SynthesisNetwork(self.architecture, fused=fused)

    @classmethod
    def from_architecture(cls, architecture: Architecture, *, fused: bool = True) -> "Generator":
        """A generator with random weights."""
        return cls(
            resolution=architecture.resolution,
            channels=architecture.channels,
            z_dim=architecture.z_dim,
            w_dim=architecture.w_dim,
            mapping_layers=architecture.mapping_layers,
            conv_clamp=architecture.conv_clamp,
            fused=fused,
        )

    @property
    def resolution(self) -> int:
        """Height and width of the images in pixels."""
        return self.architecture.resolution

    @property
    def num_ws(self) -> int:
        """How many codes w the synthesis network reads."""
        return self.architecture.num_ws

    @property
    def z_dim(self) -> int:
        return self.architecture.z_dim

    @property
    def w_dim(self) -> int:
        return self.architecture.w_dim

    @property
    def fused(self) -> bool:
        """Whether the fast forms of the layers are used; may be set."""
        return self.synthesis.fused

    @fused.setter
    def fused(self, value: bool) -> None:
        self.synthesis.fused = value

    def forward(
        self,
        z: Tensor,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise: Noise = "const",
    ) -> Tensor:
        """z (batch, z_dim) -> images (batch, 3, resolution, resolution), about [-1, 1]."""
        ws = self.mapping(z, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
        images: Tensor = self.synthesis(ws, noise=noise)
        return images

    def map_to_w(self, z: Tensor) -> Tensor:
        """z (batch, z_dim) -> w (batch, w_dim), not truncated."""
        return self.mapping.map_to_w(z)

    def features(self, ws: Tensor, layer: str | int) -> Tensor:
        """The feature map (batch, channels, r, r) after one block, named 'b16' or 16."""
        return self.synthesis.features(ws, layer)

    def affine_weights(self) -> list[AffineWeight]:
        """How each layer, conv and torgb, makes its styles, in the order of computation.

        Layer i's styles are `ws[:, ws_index] @ weight.T + bias`. The tensors are detached.
        """
        return [
            AffineWeight(name, index, layer.affine.scaled_weight().detach())
            for name, index, layer in self.synthesis.styled_layers()
        ]

    def styles(self, ws: Tensor) -> list[Tensor]:
        """The point in style space: (batch, channels in) per layer, as in `affine_weights`.

        Wu et al., "StyleSpace Analysis", CVPR 2021. The constant 1 / sqrt(channels) that the torgb
        layers multiply by later is not part of it.
        """
        self.synthesis.check(ws, "const")
        return [layer.affine(ws[:, index]) for _, index, layer in self.synthesis.styled_layers()]
