"""A scorer with a resizing step: images of any size are resized to the scorer's training resolution."""

from __future__ import annotations

from torch import Tensor

from pipeline.images import resize
from pipeline.networks.scorer import AttributeScorer, Scorer


class ResizedScorer(AttributeScorer):
    """Images (N, 3, H, W) in [-1, 1] of any size, resized to `resolution` pixels -> values (N, 35) in [0, 1].

    Resizing is bicubic with antialiasing, as for the scorer's training pictures; differentiable.
    """

    def __init__(self, scorer: Scorer, resolution: int) -> None:
        super().__init__()
        self.scorer, self.resolution = scorer, resolution

    def logits(self, images: Tensor) -> Tensor:
        return self.scorer.logits(resize(images, self.resolution))
