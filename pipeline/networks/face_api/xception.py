"""face-api's network of age and sex: a small Xception (Chollet, CVPR 2017) without batch norm, for 112 px.

Source of the architecture: src/xception/TinyXception.ts and src/ageGenderNet/AgeGenderNet.ts of the package.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from pipeline.networks.face_api.layers import Input, Separable, read_network
from pipeline.networks.tfjs.padding import SameConv2d, max_pool_same
from pipeline.networks.trunks import averaged

SIZE = 112
FEATURES = 512


class Reduction(nn.Module):
    """Two separable convolutions and a maximum over 3x3 at stride 2, plus a strided shortcut."""

    def __init__(self, inputs: int, outputs: int, activates: bool = True) -> None:
        super().__init__()
        self.activates = activates
        self.separable_conv0 = Separable(inputs, outputs)
        self.separable_conv1 = Separable(outputs, outputs)
        self.expansion_conv = SameConv2d(inputs, outputs, 1, 2)

    def forward(self, maps: Tensor) -> Tensor:
        result = self.separable_conv0(maps.relu() if self.activates else maps)
        result = self.separable_conv1(result.relu())
        shortcut: Tensor = self.expansion_conv(maps)
        return max_pool_same(result, (3, 3), (2, 2)) + shortcut


class Main(nn.Module):
    """Three separable convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.separable_conv0 = Separable(channels, channels)
        self.separable_conv1 = Separable(channels, channels)
        self.separable_conv2 = Separable(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        result = self.separable_conv0(maps.relu())
        result = self.separable_conv1(result.relu())
        last: Tensor = self.separable_conv2(result.relu())
        return last + maps


class AgeSex(nn.Module):
    """Faces (N, 3, H, H) in [-1, 1] -> age (N,) in years, not bounded, and probability of male (N,); differentiable."""

    def __init__(self) -> None:
        super().__init__()
        self.input = Input(SIZE)
        self.entry_flow = nn.ModuleDict(
            {
                "conv_in": SameConv2d(3, 32, 3, 2),
                "reduction_block_0": Reduction(32, 64, activates=False),
                "reduction_block_1": Reduction(64, 128),
            }
        )
        self.middle_flow = nn.ModuleDict({f"main_block_{index}": Main(128) for index in range(2)})
        self.exit_flow = nn.ModuleDict(
            {"reduction_block": Reduction(128, 256), "separable_conv": Separable(256, FEATURES)}
        )
        self.fc = nn.ModuleDict({"age": nn.Linear(FEATURES, 1), "gender": nn.Linear(FEATURES, 2)})

    def features(self, faces: Tensor) -> Tensor:
        """Features (N, 512) from which age and sex are read, not negative."""
        maps = self.entry_flow["conv_in"](self.input(faces)).relu()
        for name in ("reduction_block_0", "reduction_block_1"):
            maps = self.entry_flow[name](maps)
        for block in self.middle_flow.values():
            maps = block(maps)
        return averaged(self.exit_flow["separable_conv"](self.exit_flow["reduction_block"](maps)).relu())

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(faces)
        age: Tensor = self.fc["age"](features)
        sex: Tensor = self.fc["gender"](features)
        return age[:, 0], sex.softmax(dim=1)[:, 0]


def read_age_sex(manifest: Path, data: Path) -> AgeSex:
    """The package's age_gender_model from its manifest and .bin. Raises WeightsError."""
    return read_network(AgeSex(), manifest, data)
