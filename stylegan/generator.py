"""The StyleGAN2 generator: z -> w -> ws -> image, with the features and styles in between that editing methods read.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, with the skip architecture of their
figure 7b, fixed noise and no class labels. Parameters and buffers have the names, shapes and initial values of
NVIDIA's stylegan2-ada-pytorch (`training/networks.py`); the same weights and z give the same image. Departures from
NVIDIA's code:

- the number of channels of every resolution can be given (`channels`), for small generators;
- the average w is never updated as a side effect; see `MappingNetwork.track_average_w`;
- only the skip architecture without labels exists;
- noise is 'const' by default, also in training mode;
- half precision is off by default, on every device; see `SynthesisNetwork.half_type`.
"""

from typing import ClassVar, NamedTuple, Self

from torch import Tensor, nn

from stylegan.architecture import Architecture, default_channels
from stylegan.mapping import MappingNetwork
from stylegan.synthesis import Noise, SynthesisNetwork


class AffineWeight(NamedTuple):
    """The affine weight with which one layer of the synthesis network computes its styles from its w."""

    name: str
    """The layer's name within the synthesis network, such as 'b16.conv0'."""
    ws_index: int
    """Index of the code that the layer reads, from 0 to `num_ws` - 1."""
    weight: Tensor
    """(channels in, w_dim), with the gain already applied."""


class Generator(nn.Module):
    """A StyleGAN2 generator: mapping and synthesis network, with random weights until weights are loaded.

    `channels` gives the number of channels per resolution; None applies NVIDIA's rule with `channel_base` and
    `channel_max` (32768 and 512 give config-f). `conv_clamp` bounds activations: 256 in the networks that NVIDIA
    trained with half precision. `fused` selects the fast layers (`stylegan.fused`) or the reference layers
    (`stylegan.layers`). Raises ValueError for sizes that make no generator.

    >>> import torch
    >>> generator = Generator(resolution=8, channels={4: 16, 8: 16}, z_dim=32, w_dim=32)
    >>> z = torch.randn(2, 32)
    >>> ws = generator.mapping(z, truncation_psi=0.7)
    >>> images = generator.synthesis(ws)
    >>> tuple(ws.shape), tuple(images.shape)
    ((2, 4, 32), (2, 3, 8, 8))

    `stylegan.weights.load_generator` loads a generator with its weights.
    """

    architecture_type: ClassVar[type[Architecture]] = Architecture
    synthesis_type: ClassVar[type[SynthesisNetwork]] = SynthesisNetwork

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
            widths = default_channels(resolution, channel_base=channel_base, channel_max=channel_max)
            channels = {r: widths[r] for r in self.architecture_type.map_resolutions(resolution)}
        self.architecture = self.architecture_type(
            resolution=resolution,
            channels=dict(sorted(channels.items())),
            z_dim=z_dim,
            w_dim=w_dim,
            mapping_layers=mapping_layers,
            conv_clamp=conv_clamp,
        )
        self.mapping = MappingNetwork(self.architecture)
        self.synthesis = self.synthesis_type(self.architecture, fused=fused)

    @classmethod
    def from_architecture(cls, architecture: Architecture, *, fused: bool = True) -> Self:
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
        """Number of codes w that the synthesis network reads."""
        return self.architecture.num_ws

    @property
    def z_dim(self) -> int:
        return self.architecture.z_dim

    @property
    def w_dim(self) -> int:
        return self.architecture.w_dim

    @property
    def fused(self) -> bool:
        """Whether the fast layers (`stylegan.fused`) are used; can be set at any time."""
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
        """z (batch, z_dim) -> images (batch, 3, resolution, resolution), about [-1, 1], not clamped."""
        ws = self.mapping(z, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
        return self.synthesis(ws, noise=noise)

    def map_to_w(self, z: Tensor) -> Tensor:
        """z (batch, z_dim) -> w (batch, w_dim), not truncated."""
        return self.mapping.map_to_w(z)

    def features(self, ws: Tensor, layer: str | int) -> Tensor:
        """ws (batch, num_ws, w_dim) -> feature map (batch, channels, r, r) after one block, named 'b16' or 16.

        Raises ValueError for a block that the generator does not have.
        """
        return self.synthesis.features(ws, layer)

    def affine_weights(self) -> list[AffineWeight]:
        """The affine weights of all layers, conv and torgb, in the order of computation; detached.

        The styles of a layer are `ws[:, ws_index] @ weight.T + bias`.

        >>> generator = Generator(resolution=8, channels={4: 16, 8: 16}, z_dim=32, w_dim=32)
        >>> [(layer.name, layer.ws_index, tuple(layer.weight.shape)) for layer in generator.affine_weights()[:2]]
        [('b4.conv1', 0, (16, 32)), ('b4.torgb', 1, (16, 32))]
        """
        return [
            AffineWeight(name, index, layer.affine.scaled_weight().detach())
            for name, index, layer in self.synthesis.styled_layers()
        ]

    def styles(self, ws: Tensor) -> list[Tensor]:
        """ws (batch, num_ws, w_dim) -> styles (batch, channels in) of each layer, in the order of `affine_weights`.

        These are the coordinates of style space: Wu et al., "StyleSpace Analysis", CVPR 2021. The factor
        1 / sqrt(channels) that torgb layers apply later is not included.
        """
        self.synthesis.check(ws, "const")
        return [layer.affine(ws[:, index]) for _, index, layer in self.synthesis.styled_layers()]
