"""Convolutional trunks of four architectures, so that networks A and B of a domain do not share their errors.

Two small trunks are for pictures of 64 px, two of torchvision's for photographs. None starts from pretrained weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Name -> the only width of the architecture, or None for any width.
TRUNKS: dict[str, int | None] = {"residual": None, "plain": None, "resnet18": 64, "mobilenet_v3_large": 16}


def averaged(maps: Tensor) -> Tensor:
    """Means (N, channels) of maps (N, channels, h, w) over all positions, in float32 where the maps have less."""
    return maps.mean(dim=(2, 3), dtype=torch.promote_types(maps.dtype, torch.float32))


class _Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut; halves the resolution if `stride` is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if (stride, inputs) != (1, outputs) else None
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        if self.shortcut is not None:
            x = self.shortcut(functional.avg_pool2d(x, 2) if self.stride == 2 else x)
        return functional.relu(x + y)


class ResidualTrunk(nn.Module):
    """A small ResNet: strided convolutions, shortcuts, ReLU, global average. (N, 3, H, W) -> (N, out_features)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 5, 2, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(
            _Residual(width, 2 * width, 2),
            _Residual(2 * width, 2 * width, 1),
            _Residual(2 * width, 4 * width, 2),
            _Residual(4 * width, 4 * width, 1),
            _Residual(4 * width, 6 * width, 2),
        )
        self.out_features = 6 * width

    def forward(self, images: Tensor) -> Tensor:
        x = functional.relu(self.stem_norm(self.stem(images)))
        return averaged(self.blocks(x))


class PlainTrunk(nn.Module):
    """A VGG: 3x3 convolutions, SiLU, average pooling, a flattened 4 x 4 grid. (N, 3, H, W) -> (N, out_features)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, pool in ((1, True), (2, True), (3, False), (3, True), (5, False), (5, True)):
            layers += [
                nn.Conv2d(inputs, outputs * width, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outputs * width),
                nn.SiLU(),
            ]
            layers += [nn.AvgPool2d(2)] if pool else []
            inputs = outputs * width
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(16 * inputs, 8 * width)
        self.out_features = 8 * width

    def forward(self, images: Tensor) -> Tensor:
        grid = functional.adaptive_avg_pool2d(self.layers(images), 4)
        return functional.silu(self.project(torch.flatten(grid, 1)))


class ResNet18Trunk(nn.Module):
    """He et al., CVPR 2016, as torchvision builds it: basic blocks, ReLU. (N, 3, H, W) -> (N, 512)."""

    def __init__(self) -> None:
        from torchvision.models.resnet import resnet18

        super().__init__()
        whole = resnet18(weights=None)
        self.out_features = int(whole.fc.in_features)
        stages = (whole.layer1, whole.layer2, whole.layer3, whole.layer4)
        self.layers = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool, *stages)

    def forward(self, images: Tensor) -> Tensor:
        return averaged(self.layers(images))


class MobileNetV3Trunk(nn.Module):
    """Howard et al., ICCV 2019, large: inverted residuals, squeeze-and-excitation. (N, 3, H, W) -> (N, 960).

    The momentum of the running means is torch's default of 0.1; torchvision's is 0.01, for trainings of 10^5 steps.
    """

    def __init__(self) -> None:
        from torchvision.models.mobilenetv3 import mobilenet_v3_large

        super().__init__()
        self.layers = mobilenet_v3_large(weights=None, norm_layer=nn.BatchNorm2d).features
        self.out_features = int(self.layers[-1].out_channels)

    def forward(self, images: Tensor) -> Tensor:
        return averaged(self.layers(images))


Trunk = ResidualTrunk | PlainTrunk | ResNet18Trunk | MobileNetV3Trunk


def trunk(name: str, width: int) -> Trunk:
    """A new trunk by its name in TRUNKS, with `width` channels in its first layer.

    Raises ValueError for an unknown name, and for a width that the architecture does not have.
    """
    if name not in TRUNKS:
        raise ValueError(f"Unknown trunk {name!r}: expected one of {', '.join(TRUNKS)}.")
    required = TRUNKS[name]
    if required not in (None, width):
        raise ValueError(f"Trunk {name!r} has {required} channels in its first layer, not {width}.")
    if name == "residual":
        return ResidualTrunk(width)
    if name == "plain":
        return PlainTrunk(width)
    return ResNet18Trunk() if name == "resnet18" else MobileNetV3Trunk()
