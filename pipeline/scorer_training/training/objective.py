"""What a scorer is trained to do: 35 values in [0, 1], of which many are unknown and some rare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.attributes import ATTRIBUTES, INDEX
from pipeline.scorer_training.labels import is_yes_or_no

MIRRORED = ("yaw", "roll")  # what a mirrored picture has the other way round
MOST_WEIGHT = 10.0  # of a positive beside a negative
SMALLEST_GAIN = 0.001  # nats that there are to be won over a constant; less counts as this much


def mirrored(values: Tensor) -> Tensor:
    """The values (N, 35) of mirrored pictures: yaw and roll negated, which is 1 - value; NaN stays."""
    columns = [INDEX[name] for name in MIRRORED]
    found = values.clone()
    found[:, columns] = 1 - found[:, columns]
    return found


@dataclass(frozen=True)
class Weights:
    """`column` (35,): weight of an attribute's loss, 0 without labels; `positive` (35,): of its positives, from 1."""

    column: Tensor
    positive: Tensor

    def to(self, device: torch.device) -> Weights:
        """The same on a device."""
        return Weights(self.column.to(device), self.positive.to(device))


def weigh(values: np.ndarray) -> Weights:
    """Weights from the training labels (N, 35).

    A column counts 1 / (cross-entropy of the best constant - the labels' own entropy), so that each attribute has the
    same to win, however narrow its spread. Positives of a yes-or-no column that are a share p < 1/2 of it weigh
    sqrt((1 - p) / p), at most MOST_WEIGHT.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    exact = np.where(known, values, 0).astype(np.float64)
    mean = exact.sum(axis=0) / np.maximum(count, 1)
    own = np.where(known, _entropy(exact), 0).sum(axis=0) / np.maximum(count, 1)
    column = np.where(count > 0, 1 / np.maximum(_entropy(mean) - own, SMALLEST_GAIN), 0)
    rare = (is_yes_or_no(values) | np.array([a.kind == "binary" for a in ATTRIBUTES])) & (mean > 0) & (mean < 0.5)
    odds = (1 - mean) / np.where(mean > 0, mean, 1)
    positive = np.where(rare, np.minimum(np.sqrt(odds), MOST_WEIGHT), 1)
    return Weights(torch.from_numpy(column).float(), torch.from_numpy(positive).float())


def loss_of(logits: Tensor, values: Tensor, weights: Weights) -> Tensor:
    """Cross-entropy of values (N, 35) in [0, 1], NaN where unknown, averaged over what is known."""
    known = ~values.isnan()
    loss = functional.binary_cross_entropy_with_logits(
        logits, values.nan_to_num(0.0), reduction="none", pos_weight=weights.positive
    )
    return torch.where(known, loss * weights.column, 0).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def undo_positive_weight(head: nn.Linear, weights: Weights) -> None:
    """Lower the head's biases by log(weight of positives): such a weight raises the best logit by exactly that."""
    head.bias.sub_(weights.positive.log().to(head.bias.device))


def _entropy(p: np.ndarray) -> np.ndarray:
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(-(inside * np.log(inside) + (1 - inside) * np.log(1 - inside)))
