"""The scorer: a regressor of an image's 35 attribute values."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from pipeline.attributes import NAMES
from pipeline.networks.trunks import trunk


class AttributeScorer(nn.Module, ABC):
    """Images (N, 3, H, W) in [-1, 1] -> values (N, 35) in [0, 1], columns as `attributes.NAMES`; differentiable."""

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Values before the logistic function, (N, 35)."""

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()


class Scorer(AttributeScorer):
    """A scorer that is trained whole: `architecture` names the trunk, `width` its channels."""

    def __init__(self, architecture: str, width: int) -> None:
        super().__init__()
        self.architecture, self.width = architecture, width
        self.trunk = trunk(architecture, width)
        self.head = nn.Linear(self.trunk.out_features, len(NAMES))

    def logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(images.contiguous(memory_format=torch.channels_last)))
        return logits
