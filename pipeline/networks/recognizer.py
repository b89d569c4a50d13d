"""Face recognition: an embedding in which faces of the same person are close."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.networks.trunks import trunk


class Recognizer(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> embeddings (N, `dimensions`) of unit norm; differentiable.

    The distance of two faces is 1 - cosine of their embeddings. `architecture` names the trunk, `width` its channels.
    """

    def __init__(self, architecture: str, width: int, dimensions: int) -> None:
        super().__init__()
        self.architecture, self.width, self.dimensions = architecture, width, dimensions
        self.trunk = trunk(architecture, width)
        self.head = nn.Linear(self.trunk.out_features, dimensions, bias=False)
        self.norm = nn.BatchNorm1d(dimensions, affine=False)

    def raw(self, images: Tensor) -> Tensor:
        """Embeddings before the normalisation, (N, `dimensions`)."""
        return self.norm(self.head(self.trunk(images.contiguous(memory_format=torch.channels_last))))

    def forward(self, images: Tensor) -> Tensor:
        return functional.normalize(self.raw(images).float(), dim=1)


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Cosine distance 1 - cos, in [0, 2], of rows (N, D) of unit norm -> (N,)."""
    return 1 - (first * second).sum(dim=1)
