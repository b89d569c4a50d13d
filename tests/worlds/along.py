"""A method of the toy world whose limits can be computed: it moves w along a true direction."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from pipeline.methods.interface import FitData, Method, Paper
from tests.worlds import toy


class Along(Method):
    """w + unit * g(s) d for the true direction d: a method whose limits can be computed."""

    name: ClassVar[str] = "along"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper("Along", "tests")
    unit: ClassVar[str] = "length"
    supervision: ClassVar[str] = "none"

    def __init__(self, *, scale: float = 1.0, bound: float = 0.0, offset: float = 0.0) -> None:
        self.scale, self.bound, self.offset = scale, bound, offset
        vars(self)["exact_identity"] = offset == 0

    def parameters(self) -> dict[str, Any]:
        return {"scale": self.scale, "bound": self.bound, "offset": self.offset}

    def fit(self, data: FitData) -> None:
        """Nothing to learn."""

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        length = strengths * self.scale
        if self.bound:
            length = self.bound * torch.tanh(length)
        return ws + (length @ toy.DIRECTIONS)[:, None] + self.offset * toy.IDENTITY[0]

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Nothing to take back."""
