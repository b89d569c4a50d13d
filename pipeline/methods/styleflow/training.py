"""The training of StyleFlow's flow, by maximum likelihood."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.methods.interface import FitData, Method
from pipeline.methods.training import FIRST_STEP, MethodTraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.methods.styleflow.flow import Flow

log = logging.getLogger("latentbench")

PROBE = 64  # held-out codes that measure the flow before and after training
ROUND_TRIP = 1e-3  # largest difference in W after encoding and decoding without a warning
START, PROBE_NOISE = 0, 1  # purposes of random streams


class TrainableStyleFlow(Method):
    """The part of a method that its training uses."""

    steps: int
    batch: int
    learning_rate: float
    training_tolerance: float
    tolerance: float
    centre_: Tensor

    @abstractmethod
    def new_flow(self, w_dim: int, conditions: int, rng: torch.Generator | None) -> Flow:
        """An untrained flow."""

    @abstractmethod
    def condition(self, values: Tensor) -> Tensor:
        """The conditions (N, conditions) of values (N, 35)."""


class StyleFlowTraining(MethodTraining):
    """One training of the flow."""

    remedy: ClassVar[str] = "training_tolerance"
    start: float = math.nan

    def __init__(self, method: TrainableStyleFlow, data: FitData, held_out: int) -> None:
        import torch

        self.method = method
        self.trained = len(data.w) - held_out
        self.flow = method.new_flow(data.w.shape[1], len(method.centre_), data.rng(START)).to(data.device)
        optimiser = torch.optim.Adam(self.flow.parameters(), lr=method.learning_rate, fused=True)
        super().__init__(
            method, data, {"flow": self.flow}, optimiser, steps=method.steps, learning_rate=method.learning_rate
        )
        self.start = self.measure()

    @property
    def start_loss(self) -> float:
        return self.start

    def loss(self) -> Tensor:
        """-mean log p(w | a) of a batch of training codes."""
        import torch

        data, method = self.data, self.method
        rng = data.rng(FIRST_STEP + self.step)
        rows = torch.randint(self.trained, (method.batch,), generator=rng)
        noise = torch.randn(method.batch, data.w.shape[1], generator=rng)
        self.flow.train()
        return self.loss_of(data.w[rows.to(data.w.device)], data.values[rows.to(data.values.device)], noise)

    def loss_of(self, w: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        """-mean log p(w | a) of codes w (N, 512). Raises TrainingDivergedError if the equation has no solution."""
        from pipeline.methods.styleflow.flow import UnsolvableError

        conditions = self.method.condition(values.to(self.device))
        try:
            density = self.flow.log_density(
                w.to(self.device), conditions, noise.to(self.device), self.method.training_tolerance
            )
        except UnsolvableError:
            self.diverge(math.nan, f"at step {self.step}")
        return -density.mean()

    def noted(self, loss: float) -> tuple[list[float], str]:
        return [round(loss, 4)], f"loss {loss:.2f}"

    def run(self) -> None:
        super().run()
        self.end = self.measure()
        self.check(self.end, "at the end")

    def measure(self) -> float:
        """-mean log p(w | a) of the held-out codes, by the running statistics, always with the same noise."""
        import torch

        data, held = self.data, slice(self.trained, None)
        noise = torch.randn(len(data.w) - self.trained, data.w.shape[1], generator=data.rng(PROBE_NOISE))
        self.flow.eval()
        with torch.no_grad():
            return float(self.loss_of(data.w[held], data.values[held], noise))

    def round_trip(self) -> float:
        """The largest difference between a held-out code and the same code, encoded and decoded."""
        import torch

        data, method = self.data, self.method
        w = data.w[self.trained :].to(data.device)
        conditions = method.condition(data.values[self.trained :].to(data.device))
        self.flow.eval()
        with torch.no_grad():
            z = self.flow.encode(w, conditions, method.tolerance)
            return float((self.flow.decode(z, conditions, method.tolerance) - w).abs().max())

    def facts(self) -> dict[str, Any]:
        """Losses at start and end, the round trip in W, T, the number of held-out codes, the curve."""
        round_trip = self.round_trip()
        if not round_trip <= ROUND_TRIP:
            log.warning(
                "styleflow: codes that were encoded and decoded differ by up to %.2g, more than %g. Lower tolerance in "
                "luigi.cfg: [method.styleflow].",
                round_trip,
                ROUND_TRIP,
            )
        return {
            "start": self.start,
            "end": self.end,
            "round_trip": round_trip,
            "end_time": float(self.flow.root_time.detach()) ** 2,
            "held_out": len(self.data.w) - self.trained,
            "curve": {"steps": [point[0] for point in self.curve], "losses": [point[1] for point in self.curve]},
        }
