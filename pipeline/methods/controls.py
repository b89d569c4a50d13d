"""Controls: the scores of a meaningless edit, and of no edit at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.methods.bytes_taken import Cost
from pipeline.methods.cost import FACTS_BYTES, linear_cost
from pipeline.methods.interface import FitData, Method, Paper

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import DomainCard

_OURS = Paper("Control of this benchmark", "none")


class RandomDirection(Method):
    """w' = w + s u_a, with one random unit direction u_a per attribute, uniform on the sphere.

    The direction is the same for every face, and the unit is InterFaceGAN's: a step of length s in W. Its scores are
    the price of any displacement of that length. `fit` needs only the width of the codes.

    >>> import torch
    >>> control = RandomDirection()
    >>> control.restore({"directions": torch.eye(35, 512)}, {})
    >>> strengths = torch.zeros(1, 35)
    >>> strengths[0, 1] = -3.0
    >>> control.edit(torch.zeros(1, 2, 512), strengths, torch.zeros(1, 35))[0, :, :3]  # 3 down the second direction
    tensor([[ 0., -3.,  0.],
            [ 0., -3.,  0.]])
    """

    name: ClassVar[str] = "random"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = _OURS
    unit: ClassVar[str] = "length in W"
    supervision: ClassVar[str] = "none"
    exact_undo: ClassVar[bool] = True
    control: ClassVar[bool] = True

    directions_: Tensor  # (35, 512), rows of unit norm

    def cost(self, card: DomainCard) -> Cost:
        """A direction for every attribute, for which no code is read."""
        return linear_cost(codes_at_once=0)

    def fit(self, data: FitData) -> None:
        """Draw the directions; each depends on the seed and the attribute only."""
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
        """Restore the directions."""
        self.directions_ = state["directions"]


class NoOp(Method):
    """w' = w. Must score an identity distance of 0 and no change; its quality scores are of the unedited faces.

    >>> import torch
    >>> ws = torch.ones(1, 2, 512)
    >>> torch.equal(NoOp().edit(ws, torch.ones(1, 35), torch.zeros(1, 35)), ws)
    True
    """

    name: ClassVar[str] = "noop"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = _OURS
    unit: ClassVar[str] = "none"
    supervision: ClassVar[str] = "none"
    exact_undo: ClassVar[bool] = True
    control: ClassVar[bool] = True

    def cost(self, card: DomainCard) -> Cost:
        """Its facts alone."""
        return Cost(FACTS_BYTES)

    def fit(self, data: FitData) -> None:
        """Learn nothing."""

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """A copy of ws (N, L, 512)."""
        return ws.clone()

    def state(self) -> dict[str, Tensor]:
        """No tensors."""
        return {}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore nothing."""
