"""Two convolutional trunks of different architecture: A and B of a domain must not share their mistakes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

TRUNKS = ("residual", "plain")


class _Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; halves the resolution if `stride` is 2."""

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
        return cast(Tensor, self.blocks(x).mean(dim=(2, 3)))


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


def trunk(name: str, width: int) -> ResidualTrunk | PlainTrunk:
    """The trunk of that name, "residual" or "plain", `width` channels at its first layer."""
    if name == "residual":
        return ResidualTrunk(width)
    if name == "plain":
        return PlainTrunk(width)
    raise ValueError(f"Unknown trunk {name!r}: expected one of {', '.join(TRUNKS)}.")
