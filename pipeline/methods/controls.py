"""Controls: what an edit of no meaning scores, and what no edit at all scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.methods.base import FitData, Method, Paper

if TYPE_CHECKING:
    from torch import Tensor

_OURS = Paper("Control of this benchmark", "none")


class RandomDirection(Method):
    """w' = w + s u_a, with one random unit direction u_a per attribute, uniform on the sphere.

    The same direction for every face, and in the same unit as InterFaceGAN's: a step of length s in W. What it
    scores is what any displacement of that length costs.
    """

    name: ClassVar[str] = "random"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = _OURS
    unit: ClassVar[str] = "length in W"
    supervision: ClassVar[str] = "none"
    exact_undo: ClassVar[bool] = True
    control: ClassVar[bool] = True

    directions_: Tensor  # (35, 512), rows of unit norm

    def fit(self, data: FitData) -> None:
        """Draw the directions; each depends on the seed and the attribute alone."""
        import numpy as np
        import torch

        width = data.w.shape[1]
        streams = [np.random.default_rng([data.seed, column]) for column in range(len(data.attributes))]
        rows = [stream.standard_normal(width) for stream in streams]
        directions = np.stack([row / np.linalg.norm(row) for row in rows])
        self.directions_ = torch.from_numpy(directions.astype(np.float32)).to(data.device)

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """ws (N, L, 512) plus strengths (N, 35) times the directions, in every layer."""
        return ws + (strengths.to(ws) @ self.directions_.to(ws))[:, None]

    def state(self) -> dict[str, Tensor]:
        """The directions."""
        return {"directions": self.directions_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back the directions."""
        self.directions_ = state["directions"]


class NoOp(Method):
    """w' = w. Must score no identity distance and no change; quality scores are those of the unedited faces."""

    name: ClassVar[str] = "noop"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = _OURS
    unit: ClassVar[str] = "none"
    supervision: ClassVar[str] = "none"
    exact_undo: ClassVar[bool] = True
    control: ClassVar[bool] = True

    def fit(self, data: FitData) -> None:
        """There is nothing to learn."""

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """A copy of ws (N, L, 512)."""
        return ws.clone()

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """There is nothing to take back."""
