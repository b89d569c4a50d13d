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

    generator = Generator(resolution=64, channels={4: 256, 8: 256, 16: 96, 32: 64, 64: 32})
    ws = generator.mapping(z, truncation_psi=0.7)
    images = generator.synthesis(ws)
"""

from typing import NamedTuple

from torch import Tensor, nn

from stylegan.architecture import Architecture, default_channels
from stylegan.mapping import MappingNetwork
from stylegan.synthesis import Noise, SynthesisNetwork


class AffineWeight(NamedTuple):
    """How one layer of the synthesis network makes its styles from its w."""

    name: str
    """The layer's name within the synthesis network, such as 'b16.conv0'."""
    ws_index: int
    """Which of the `num_ws` codes the layer reads."""
    weight: Tensor
    """(channels in, w_dim), as multiplied with w: the gain is applied."""


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
