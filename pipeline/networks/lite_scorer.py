"""A scorer of photographs with a frozen, published trunk: EfficientNet-Lite, and one linear layer of our training.

The head sees the trunk's features, and its maps averaged over a grid of the picture: portraits in FFHQ's alignment have
eyes, mouth and chin at the same positions, so that glasses and beards are local. A map's values have either sign, so
the mean of their absolute values is a feature too.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.attributes import NAMES
from pipeline.images import resize
from pipeline.networks.cards import REMEDY
from pipeline.networks.efficientnet import LITE0, LITE1, EfficientNetLite, LiteVariant, read_efficientnet
from pipeline.networks.files import load_network
from pipeline.networks.scorer import AttributeScorer

SIDE = 256  # pixels of a side of the pictures that heads are trained on; larger images are averaged down to it first
GRIDS = (7, 7, 7, 7, 4)  # cells of a side, of each of the trunk's five maps
ABSOLUTE = (0, 1, 2, 3)  # maps that give the mean of their absolute values too
TRUNKS: dict[str, LiteVariant] = {
    "efficientnet-lite0": LITE0,
    "efficientnet-lite1": LITE1,
}  # name of the file -> network


class LiteHead(nn.Module):
    """Features (N, inputs) of the trunk of that name -> logits (N, 35), columns as `attributes.NAMES`."""

    def __init__(self, trunk: str, inputs: int) -> None:
        super().__init__()
        self.trunk_name = trunk
        self.linear = nn.Linear(inputs, len(NAMES))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(features)
        return logits


class LiteScorer(AttributeScorer):
    """A frozen trunk and its head, for square images."""

    def __init__(self, trunk: EfficientNetLite, head: LiteHead) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat(features(self.trunk, images), dim=1))
        return logits


def features(trunk: EfficientNetLite, images: Tensor) -> list[Tensor]:
    """What a head sees of images (N, 3, H, H) in [-1, 1]: groups of numbers (N, d), float32; differentiable."""
    maps = trunk.maps(reduced(images))
    groups = [trunk.seen(maps)[0].float()]
    for index, (map, grid) in enumerate(zip(maps, GRIDS, strict=True)):
        kinds = [map.float(), map.float().abs()] if index in ABSOLUTE else [map.float()]
        groups += [functional.adaptive_avg_pool2d(kind, grid).flatten(1) for kind in kinds]
    return groups


def reduced(images: Tensor) -> Tensor:
    """Images (N, 3, H, H) at SIDE pixels: averaged where H is a multiple of it, else resized; smaller ones as they are.

    >>> reduced(torch.zeros(1, 3, 1024, 1024)).shape
    torch.Size([1, 3, 256, 256])
    """
    side = images.shape[-1]
    if side <= SIDE:
        return images
    return functional.avg_pool2d(images, side // SIDE) if side % SIDE == 0 else resize(images, SIDE)


def read_lite_scorer(path: Path, trunk: Path, device: torch.device, remedy: str = REMEDY) -> LiteScorer:
    """A scorer from the file of its head, with a card, and the trunk's published file; frozen. Raises WeightsError."""
    head = load_network(LiteHead, path, device, remedy)
    return LiteScorer(read_efficientnet(trunk, TRUNKS[head.trunk_name]).to(device), head).eval().requires_grad_(False)
