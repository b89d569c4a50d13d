"""The perception net: features for FID and KID, class logits for the inception score, maps for LPIPS."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.networks.trunks import averaged


class _Fire(nn.Module):
    """SqueezeNet's Fire module (Iandola et al. 2016): a 1x1 squeeze, then 1x1 and 3x3 expansion in parallel."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1, bias=False)
        self.squeeze_norm = nn.BatchNorm2d(squeezed)
        self.point = nn.Conv2d(squeezed, expanded, 1, bias=False)
        self.area = nn.Conv2d(squeezed, expanded, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * expanded)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze_norm(self.squeeze(x)))
        return functional.relu(self.norm(torch.cat([self.point(x), self.area(x)], dim=1)))


class PerceptionNet(nn.Module, ABC):
    """A network whose activations at several depths are known: images (N, 3, H, W) in [-1, 1].

    `features` (N, feature_width) are the global average after the last convolution; `logits` (N, classes) are over the
    classes of its training; `maps` are activations with `map_channels` channels, fine to coarse.
    """

    feature_width: int
    classes: int
    map_channels: tuple[int, ...]

    @abstractmethod
    def maps(self, images: Tensor) -> list[Tensor]:
        """Activations (N, channels, h, w), fine to coarse."""

    @abstractmethod
    def seen(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Perception vectors and class logits of images whose `maps` are known."""

    def features(self, images: Tensor) -> Tensor:
        """Perception vectors, (N, feature_width), not negative."""
        return self.seen(self.maps(images))[0]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Perception vectors and class logits in one pass."""
        return self.seen(self.maps(images))

    def logits(self, images: Tensor) -> Tensor:
        """Class logits, (N, classes)."""
        return self.both(images)[1]

    forward = features


class Perception(PerceptionNet):
    """A SqueezeNet for 64-px faces, with five maps; its classes are kinds of faces."""

    map_channels: tuple[int, ...] = (32, 64, 96, 128, 192)

    def __init__(self, feature_width: int, classes: int) -> None:
        super().__init__()
        self.feature_width, self.classes = feature_width, classes
        one, two, three, four, five = self.map_channels
        self.stem = nn.Sequential(nn.Conv2d(3, one, 3, 2, 1, bias=False), nn.BatchNorm2d(one), nn.ReLU())
        self.second = _Fire(one, 16, two // 2)
        self.third = nn.Sequential(_Fire(two, 24, three // 2), _Fire(three, 24, three // 2))
        self.fourth = nn.Sequential(_Fire(three, 32, four // 2), _Fire(four, 32, four // 2))
        self.fifth = _Fire(four, 48, five // 2)
        self.last = nn.Sequential(nn.Conv2d(five, feature_width, 1), nn.ReLU())
        self.classifier = nn.Linear(feature_width, classes)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Five activations (N, channels, h, w) at 1/2, 1/2, 1/4, 1/8 and 1/8 of the resolution."""
        one = self.stem(images.contiguous(memory_format=torch.channels_last))
        two = self.second(one)
        three = self.third(functional.max_pool2d(two, 2))
        four = self.fourth(functional.max_pool2d(three, 2))
        return [one, two, three, four, self.fifth(four)]

    def seen(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        features = averaged(self.last(maps[-1]))
        return features, self.classifier(features)
