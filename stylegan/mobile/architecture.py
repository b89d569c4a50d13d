"""The architecture of a MobileStyleGAN generator: resolution, widths and depth."""

from __future__ import annotations

from dataclasses import dataclass

from stylegan.architecture import Architecture, resolutions_up_to


@dataclass(frozen=True, kw_only=True)
class MobileArchitecture(Architecture):
    """Everything needed to build a generator before its weights are loaded.

    `channels` ends at half of the image's resolution: the last step to the image is an inverse Haar transform. Every
    number of channels but the last is a multiple of four. Raises ValueError otherwise.

    >>> MobileArchitecture(resolution=16, channels={4: 16, 8: 16}).num_ws
    4
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for resolution, channels in self.channels.items():
            if channels % 4 and resolution < max(self.channels):
                raise ValueError(f"channels[{resolution}] must be a multiple of 4, not {channels}.")

    @staticmethod
    def map_resolutions(resolution: int) -> list[int]:
        return resolutions_up_to(resolution // 2)
