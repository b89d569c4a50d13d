"""Unnamed directions: what a method without labels offers to the rule of naming."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Candidates(ABC):
    """Unnamed directions of a method: `count` candidates, each a direction in one layer group, not counting signs.

    The displacement of a code must be proportional to the strength: the rule computes the strength of a step from it.
    """

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of candidates."""

    @abstractmethod
    def label(self, index: int) -> str:
        """A label for people, such as "component 3, layers 2-5"."""

    @abstractmethod
    def shift(self, ws: Tensor, index: int, strengths: Tensor) -> Tensor:
        """The shift (N, L, 512) of ws (N, L, 512) by a candidate at strengths (N,), signed, in the method's unit.

        Exactly 0 where the strength is 0. ws is not modified.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """The learned tensors, by name."""


class LinearCandidates(Candidates):
    """Vectors that are added to the codes of a layer group: w'_l = w_l + s v for the layers l of the group.

    vectors (K, 512): the shift by a strength of 1; ranges (K, 2) int64: the layer groups, half-open; noun and numbers
    (K) make the labels.

    >>> import torch
    >>> candidates = LinearCandidates(torch.ones(1, 512), torch.tensor([[1, 3]]), "component", [7])
    >>> candidates.label(0)
    'component 7, layers 1-2'
    >>> candidates.shift(torch.zeros(1, 4, 512), 0, torch.tensor([2.0]))[0, :, 0]
    tensor([0., 2., 2., 0.])
    """

    def __init__(self, vectors: Tensor, ranges: Tensor, noun: str, numbers: Sequence[int]) -> None:
        self.vectors, self.ranges, self.noun, self.numbers = vectors, ranges, noun, tuple(numbers)
        self.spans: list[tuple[int, int]] = [(int(first), int(stop)) for first, stop in ranges.tolist()]

    @property
    def count(self) -> int:
        """The number of candidates."""
        return len(self.spans)

    def label(self, index: int) -> str:
        """The noun, the number of the vector, and the first and last layer."""
        first, stop = self.spans[index]
        layers = f"layer {first}" if stop == first + 1 else f"layers {first}-{stop - 1}"
        return f"{self.noun} {self.numbers[index]}, {layers}"

    def shift(self, ws: Tensor, index: int, strengths: Tensor) -> Tensor:
        """strengths times the vector in the layers of its group, 0 in the others."""
        first, stop = self.spans[index]
        shift = ws.new_zeros(ws.shape)
        shift[:, first:stop] = strengths.to(ws)[:, None, None] * self.vectors[index].to(ws)
        return shift

    def state(self) -> dict[str, Tensor]:
        """`vectors` (K, 512) and `ranges` (K, 2)."""
        return {"vectors": self.vectors, "ranges": self.ranges}
