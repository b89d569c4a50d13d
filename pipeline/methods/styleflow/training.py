"""The training of StyleFlow's flow, by maximum likelihood."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pipeline.errors import TrainingDivergedError
from pipeline.methods.base import FitData, Method
from pipeline.methods.checkpoints import Checkpoint

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.methods.styleflow.flow import Flow

log = logging.getLogger("latentbench")

CHECKPOINT_STEPS = 100  # between two checkpoints
CURVE_POINTS = 200  # of the loss that are kept
PROBE = 64  # held-out codes on which the flow is measured before and after training
ROUND_TRIP = 1e-3  # largest difference, in W, that encoding and decoding again may make
# Purposes of random streams; that of step k is FIRST_STEP + k.
START, PROBE_NOISE, FIRST_STEP = 0, 1, 1000


class Trainable(Method):
    """What the training needs of the method that it trains."""

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
        """The flow's conditions (N, conditions) of values (N, 35)."""


class Training:
    """One training of the flow: its state, steps, checkpoints and final facts."""

    def __init__(self, method: Trainable, data: FitData, held_out: int) -> None:
        import torch

        self.method, self.data = method, data
        self.trained = len(data.w) - held_out
        self.flow = method.new_flow(data.w.shape[1], len(method.centre_), data.rng(START)).to(data.device)
        self.optimiser = torch.optim.Adam(self.flow.parameters(), lr=method.learning_rate)
        self.checkpoint = Checkpoint(method, data)
        self.step = 0
        self.curve: tuple[list[int], list[float]] = ([], [])
        self.start = self.measure()

    def run(self) -> None:
        """Every step that is left. Raises TrainingDivergedError."""
        self.resume()
        every = max(1, self.method.steps // CURVE_POINTS)
        while self.step < self.method.steps:
            loss = self.advance()
            if self.step % every == 0 or self.step == self.method.steps:
                self.note(float(loss))
            if self.step % CHECKPOINT_STEPS == 0:
                self.save()
        self.end = self.measure()
        self.check(self.end, "at the end")

    def advance(self) -> Tensor:
        """One step of Adam; returns -mean log p(w | a) before it."""
        import torch

        data, method = self.data, self.method
        rng = data.rng(FIRST_STEP + self.step)
        rows = torch.randint(self.trained, (method.batch,), generator=rng)
        noise = torch.randn(method.batch, data.w.shape[1], generator=rng)
        self.flow.train()
        loss = self.loss(data.w[rows.to(data.w.device)], data.values[rows.to(data.values.device)], noise)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    def loss(self, w: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        """-mean log p(w | a) of codes w (N, 512); NaN where the equation cannot be solved."""
        from pipeline.methods.styleflow.flow import UnsolvableError

        device = self.data.device
        conditions = self.method.condition(values.to(device))
        try:
            found = self.flow.log_density(w.to(device), conditions, noise.to(device), self.method.training_tolerance)
        except UnsolvableError:
            self.check(math.nan, f"at step {self.step}")
        return -found.mean()

    def note(self, loss: float) -> None:
        """Keep the loss of a step, tell it, and stop if it is not a number."""
        self.curve[0].append(self.step)
        self.curve[1].append(round(loss, 4))
        if not math.isfinite(loss):
            self.check(loss, f"at step {self.step}")
        self.data.progress(self.step, self.method.steps, f"loss {loss:.2f}")

    def check(self, loss: float, when: str) -> None:
        """Raise TrainingDivergedError unless a loss is finite and no higher than at the start, on the same codes."""
        start = getattr(self, "start", math.nan)
        if math.isfinite(loss) and loss <= start:
            return
        self.checkpoint.discard()
        raise TrainingDivergedError(
            f"styleflow: the loss on held-out codes was {start:.5g} before training and is {loss:.5g} {when}, after "
            f"{self.step} of {self.method.steps} steps: training diverged, nothing was published. Lower learning_rate "
            f"(now {self.method.learning_rate:g}) or training_tolerance in luigi.cfg: [method.styleflow]."
        )

    def measure(self) -> float:
        """-mean log p(w | a) of the held-out codes, by the running statistics, always with the same noise."""
        import torch

        data, held = self.data, slice(self.trained, None)
        noise = torch.randn(len(data.w) - self.trained, data.w.shape[1], generator=data.rng(PROBE_NOISE))
        self.flow.eval()
        with torch.no_grad():
            return float(self.loss(data.w[held], data.values[held], noise))

    def round_trip(self) -> float:
        """The largest difference between a held-out code and itself encoded and decoded."""
        import torch

        data, method = self.data, self.method
        w = data.w[self.trained :].to(data.device)
        conditions = method.condition(data.values[self.trained :].to(data.device))
        self.flow.eval()
        with torch.no_grad():
            z = self.flow.encode(w, conditions, method.tolerance)
            return float((self.flow.decode(z, conditions, method.tolerance) - w).abs().max())

    def facts(self) -> dict[str, Any]:
        """What the training came to."""
        round_trip = self.round_trip()
        if not round_trip <= ROUND_TRIP:
            log.warning(
                "styleflow: codes that are encoded and decoded differ by up to %.2g, more than %g. Lower tolerance in "
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
            "curve": {"steps": self.curve[0], "losses": self.curve[1]},
        }

    def save(self) -> None:
        """Replace the checkpoint."""
        state = {"flow": self.flow.state_dict(), "optimiser": self.optimiser.state_dict()}
        self.checkpoint.save(state | {"step": self.step, "curve": list(self.curve)})

    def resume(self) -> None:
        """Take the checkpoint's state, if there is one of the same settings and data."""
        state = self.checkpoint.load()
        if state is not None:
            self.flow.load_state_dict(state["flow"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
            self.curve = (state["curve"][0], state["curve"][1])
