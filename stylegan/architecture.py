"""The architecture of a StyleGAN2 generator: resolution, widths and depth."""

from dataclasses import dataclass


def default_channels(resolution: int, *, channel_base: int = 32768, channel_max: int = 512) -> dict[int, int]:
    """NVIDIA's number of channels per resolution: channel_base // resolution, at most channel_max."""
    return {r: min(channel_base // r, channel_max) for r in resolutions_up_to(resolution)}


def resolutions_up_to(resolution: int) -> list[int]:
    """4, 8, 16, ..., `resolution` in pixels. Raises ValueError unless `resolution` is a power of two of at least 4."""
    if resolution < 4 or resolution & (resolution - 1):
        raise ValueError(f"A generator's resolution is a power of two and at least 4, not {resolution}.")
    return [2**k for k in range(2, resolution.bit_length())]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything needed to build a generator before its weights are loaded.

    Raises ValueError for channels that do not match the resolution, and for a size below 1.

    >>> Architecture(resolution=8, channels={4: 16, 8: 16}).num_ws
    4
    """

    resolution: int
    """Height and width of the images in pixels."""
    channels: dict[int, int]
    """Channels of the feature maps by resolution, from 4 px up."""
    z_dim: int = 512
    w_dim: int = 512
    mapping_layers: int = 8
    conv_clamp: float | None = None
    """Bound of the activations' magnitude; None for no bound."""

    def __post_init__(self) -> None:
        resolutions = self.map_resolutions(self.resolution)
        if sorted(self.channels) != resolutions:
            raise ValueError(
                f"A generator of {self.resolution} px needs channels for the resolutions {resolutions}; "
                f"got {sorted(self.channels)}."
            )
        sizes = {"z_dim": self.z_dim, "w_dim": self.w_dim, "mapping_layers": self.mapping_layers}
        sizes |= {f"channels[{r}]": n for r, n in self.channels.items()}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, not {size}.")

    @staticmethod
    def map_resolutions(resolution: int) -> list[int]:
        """The resolutions of the feature maps, from 4 px up, of a generator of images of this resolution."""
        return resolutions_up_to(resolution)

    @property
    def num_ws(self) -> int:
        """Number of codes w that the synthesis network reads: two per resolution of the feature maps."""
        return 2 * len(self.channels)
