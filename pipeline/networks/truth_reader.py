"""The truth reader: predicts the true factors of a face from its image, and the distance between two persons.

A recognizer learns to tell persons apart. The truth reader learns the factors from which a domain draws its faces, so
its distance is a distance between true factors. It exists only for domains with known truth, and enters no loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from pipeline.networks.trunks import trunk


class Reader(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> factors (N, `factors`) in [0, 1]; differentiable.

    `architecture` names the trunk, `width` its channels; `identity` are the columns of the K factors of a person.
    Training sets the buffers. They are part of the weights, and therefore of every fingerprint:
    `spread` (`factors`,): standard deviation of each factor over the population;
    `weight` (K,): share of a reading's variance that is due to the person and not to the picture, in [0, 1];
    `scale` (): mean distance of two random persons before the division that makes it the unit;
    `error` (): root mean square distance between two pictures of one person, in that unit.
    """

    spread: Tensor
    weight: Tensor
    scale: Tensor
    error: Tensor

    def __init__(self, architecture: str, width: int, factors: int, identity: Sequence[int]) -> None:
        super().__init__()
        self.architecture, self.width, self.identity = architecture, width, list(identity)
        self.trunk = trunk(architecture, width)
        self.head = nn.Linear(self.trunk.out_features, factors)
        self.register_buffer("spread", torch.full((factors,), math.nan))
        self.register_buffer("weight", torch.full((len(self.identity),), math.nan))
        self.register_buffer("scale", torch.tensor(math.nan))
        self.register_buffer("error", torch.tensor(math.nan))

    def logits(self, images: Tensor) -> Tensor:
        """Factors before the logistic function, (N, `factors`)."""
        return self.head(self.trunk(images.contiguous(memory_format=torch.channels_last)))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()

    def weighted(self, images: Tensor) -> Tensor:
        """Identity factors (N, K), each in standard deviations of the population and times its weight."""
        return self(images)[:, self.identity] / self.spread[self.identity] * self.weight

    def coordinates(self, images: Tensor) -> Tensor:
        """Coordinates (N, K) of the persons in images; the Euclidean distance of two rows is their `distance`.

        Division by the standard deviation makes factors with different spread comparable. The weight is the slope with
        which linear regression predicts the difference of two persons from the difference of their readings. It damps
        factors that cannot be seen, such as ears under hair: their readings vary between pictures of one person and
        would only add noise. The unit is the mean distance of two random persons. Raises WeightsError if training has
        not set it.
        """
        if not math.isfinite(float(self.error)):
            raise WeightsError(
                "The truth reader has no unit: expected weights with scale and error, found none. Train it: "
                "latentbench synthface train reader"
            )
        return self.weighted(images) / self.scale


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Distance (N,) of rows (N, K) of `Reader.coordinates`, in mean distances of two random persons."""
    return (first - second).norm(dim=1)
