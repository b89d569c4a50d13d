"""The scorer: a regressor of an image's 35 attribute values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.attributes import NAMES
from pipeline.networks.trunks import trunk


class Scorer(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> values (N, 35) in [0, 1], columns as `attributes.NAMES`; differentiable.

    `architecture` names the trunk, `width` its channels.
    """

    def __init__(self, architecture: str, width: int) -> None:
        super().__init__()
        self.architecture, self.width = architecture, width
        self.trunk = trunk(architecture, width)
        self.head = nn.Linear(self.trunk.out_features, len(NAMES))

    def logits(self, images: Tensor) -> Tensor:
        """Values before the logistic function, (N, 35)."""
        return self.head(self.trunk(images.contiguous(memory_format=torch.channels_last)))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()
