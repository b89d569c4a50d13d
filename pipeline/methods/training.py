"""The stepped training of a method: a curve for its facts, and held-out codes whose loss must not rise."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NoReturn

from pipeline.errors import TrainingDivergedError
from pipeline.methods.checkpoints import method_checkpoint
from pipeline.methods.interface import FitData, Method
from pipeline.optimisation.stepped import Optimiser, SteppedTraining

if TYPE_CHECKING:
    from torch import Tensor, nn

FIRST_STEP = 1000  # step k draws from the random stream of purpose FIRST_STEP + k


class MethodTraining(SteppedTraining):
    """A training that reports to `data.progress`, keeps its checkpoint in `data.checkpoints`, and names luigi.cfg keys.

    `slack`: by how much the loss on held-out codes may end above its start. `remedy`: for the error of a divergence.
    """

    remedy: ClassVar[str] = "raise steps"
    slack: float = 0.0

    def __init__(
        self,
        method: Method,
        data: FitData,
        modules: Mapping[str, nn.Module],
        optimiser: Optimiser,
        *,
        steps: int,
        learning_rate: float,
    ) -> None:
        super().__init__(modules, optimiser, method_checkpoint(method, data), steps=steps, device=data.device)
        self.method_name, self.data, self.learning_rate = method.name, data, learning_rate

    @property
    @abstractmethod
    def start_loss(self) -> float:
        """The loss on held-out codes before training; NaN while it is not known."""

    @abstractmethod
    def noted(self, loss: float) -> tuple[list[float], str]:
        """The numbers of a step with this loss for the curve, and the words for `progress`."""

    def rate(self, step: int) -> float:
        return self.learning_rate

    def note(self, losses: list[Tensor]) -> None:
        self.check_finite(losses[-1])
        numbers, words = self.noted(float(losses[-1]))
        self.curve.append([self.step, *numbers])
        self.data.progress(self.step, self.steps, words)

    def check(self, loss: float, when: str) -> None:
        """Raise TrainingDivergedError unless a loss on held-out codes is finite and not above its start."""
        if not (math.isfinite(loss) and loss <= self.start_loss + self.slack):
            self.diverge(loss, when)

    def diverge(self, loss: float, when: str) -> NoReturn:
        """Discard the checkpoint, so that a retry starts over, and raise TrainingDivergedError."""
        self.checkpoint.discard()
        raise TrainingDivergedError(
            f"{self.method_name}: the loss on held-out codes was {self.start_loss:.5g} before training and the loss is "
            f"{loss:.5g} {when}, after {self.step} of {self.steps} steps: training diverged, nothing was published. "
            f"Lower learning_rate (now {self.learning_rate:g}) or {self.remedy} in luigi.cfg: "
            f"[method.{self.method_name}]."
        )
