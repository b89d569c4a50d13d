"""The loss of a scorer's training: masked, weighted cross-entropy of 35 values in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.attributes import ATTRIBUTES, INDEX
from pipeline.scorer_training.labels import is_yes_or_no

MIRRORED = ("yaw", "roll")  # attributes that change sign in a mirrored picture
MOST_WEIGHT = 10.0  # upper bound of the weight of a positive; a negative has weight 1
SMALLEST_GAIN = 0.001  # nats; lower bound of the possible gain over the best constant


def mirrored(values: Tensor) -> Tensor:
    """The values (N, 35) of mirrored pictures: yaw and roll are negated, so the value becomes 1 - value; NaN stays."""
    columns = [INDEX[name] for name in MIRRORED]
    result = values.clone()
    result[:, columns] = 1 - result[:, columns]
    return result


@dataclass(frozen=True)
class Weights:
    """`column` (35,): weight of an attribute's loss, 0 without labels; `positive` (35,): weight of positives, >= 1."""

    column: Tensor
    positive: Tensor

    def to(self, device: torch.device) -> Weights:
        """The same weights on a device."""
        return Weights(self.column.to(device), self.positive.to(device))


def weigh(values: np.ndarray) -> Weights:
    """Weights from the training labels (N, 35).

    The weight of a column is 1 / (cross-entropy of the best constant - entropy of the labels), so that every attribute
    has the same possible gain, independent of its spread. Positives of a yes-or-no column, if their share p is below
    1/2, have the weight sqrt((1 - p) / p), at most MOST_WEIGHT.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    exact = np.where(known, values, 0).astype(np.float64)
    mean = exact.sum(axis=0) / np.maximum(count, 1)
    least = np.where(known, _entropy(exact), 0).sum(axis=0) / np.maximum(count, 1)
    column = np.where(count > 0, 1 / np.maximum(_entropy(mean) - least, SMALLEST_GAIN), 0)
    rare = (is_yes_or_no(values) | np.array([a.kind == "binary" for a in ATTRIBUTES])) & (mean > 0) & (mean < 0.5)
    odds = (1 - mean) / np.where(mean > 0, mean, 1)
    positive = np.where(rare, np.minimum(np.sqrt(odds), MOST_WEIGHT), 1)
    return Weights(torch.from_numpy(column).float(), torch.from_numpy(positive).float())


def loss_of(logits: Tensor, values: Tensor, weights: Weights) -> Tensor:
    """Weighted cross-entropy of values (N, 35) in [0, 1], NaN where unknown; the mean over known values."""
    known = ~values.isnan()
    loss = functional.binary_cross_entropy_with_logits(
        logits, values.nan_to_num(0.0), reduction="none", pos_weight=weights.positive
    )
    return torch.where(known, loss * weights.column, 0).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def undo_positive_weight(head: nn.Linear, weights: Weights) -> None:
    """Lower the head's biases by log(weight of positives), the amount by which the weight raises the best logit."""
    head.bias.sub_(weights.positive.log().to(head.bias.device))


def _entropy(p: np.ndarray) -> np.ndarray:
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(-(inside * np.log(inside) + (1 - inside) * np.log(1 - inside)))
