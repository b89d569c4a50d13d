"""The training of L2L's mapper, through the frozen networks."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.errors import TrainingDivergedError
from pipeline.methods.base import FitData, Method
from pipeline.methods.checkpoints import Checkpoint
from pipeline.methods.moments import by_columns

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pipeline.methods.l2l.mapper import Mapper

CHECKPOINT_STEPS = 100  # between two checkpoints
CURVE_POINTS = 200  # of the loss that are kept
PROBE = 64  # held-out codes on which the mapper is measured before and after training
DISTANCE_PAIRS = 20_000  # of codes, whose mean distance is the unit of the losses in W
# Purposes of random streams; that of step k is FIRST_STEP + k.
START, PAIRS, PROBE_CHANGES, FIRST_STEP = 0, 1, 2, 1000
# In the order in which they are stacked.
LOSSES = ("attribute", "cycle", "identity", "neighbourhood", "face")


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Networks in evaluation mode and without gradients of their own; as they were, afterwards."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    grads = [(parameter, parameter.requires_grad) for network in networks for parameter in network.parameters()]
    try:
        for network in networks:
            network.eval().requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, wanted in grads:
            parameter.requires_grad_(wanted)


@dataclass
class Curve:
    """Losses over the steps, thinned."""

    steps: list[int] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)


class Trainable(Method):
    """What the training needs of the method that it trains."""

    steps: int
    batch: int
    learning_rate: float

    @abstractmethod
    def new_mapper(self, w_dim: int, attributes: int, num_ws: int, rng: torch.Generator | None) -> Mapper:
        """An untrained mapper."""

    @abstractmethod
    def draw_changes(self, values: Tensor, rng: torch.Generator) -> Tensor:
        """Changes (N, 35) that values (N, 35) are trained with."""

    @abstractmethod
    def losses(
        self, mapper: nn.Module, data: FitData, w: Tensor, values: Tensor, change: Tensor, unit: float
    ) -> Tensor:
        """The means of `each_loss`, in the order of LOSSES."""

    @abstractmethod
    def each_loss(
        self, mapper: nn.Module, data: FitData, w: Tensor, values: Tensor, change: Tensor, unit: float
    ) -> tuple[Tensor, ...]:
        """The losses of every code, in the order of LOSSES."""

    @abstractmethod
    def weights(self) -> list[float]:
        """The losses' weights, in the order of LOSSES."""

    @abstractmethod
    def rate(self, step: int) -> float:
        """The learning rate of a step."""


class Training:
    """One training of the mapper: its state, steps, checkpoints and final facts."""

    def __init__(self, method: Trainable, data: FitData) -> None:
        import torch

        self.method, self.data = method, data
        held_out = min(PROBE, len(data.w) // 4)
        self.trained = len(data.w) - held_out
        self.unit = mean_distance(data)
        self.mapper = method.new_mapper(
            data.w.shape[1], len(data.attributes), data.generator.num_ws, data.rng(START)
        ).to(data.device)
        spread, mean = by_columns(torch.std_mean, data.w[: self.trained])
        floor = 1e-3 * spread.max().clamp(min=1e-12)
        self.mapper.mean.copy_(mean)
        self.mapper.scale.copy_(spread.clamp(min=floor))
        self.optimiser = torch.optim.Adam(self.mapper.parameters(), lr=method.learning_rate)
        self.weights = torch.tensor(method.weights(), device=data.device)
        self.step = 0
        self.curve = Curve()
        self.kept = Checkpoint(method, data)
        self.start = self.total(self.measure_each())

    def run(self) -> None:
        """Every step that is left. Raises TrainingDivergedError."""
        self.resume()
        every = max(1, self.method.steps // CURVE_POINTS)
        while self.step < self.method.steps:
            losses = self.advance()
            if self.step % every == 0 or self.step == self.method.steps:
                self.note(losses)
            if self.step % CHECKPOINT_STEPS == 0:
                self.save()
        self.held_out = self.measure_each()
        self.end = self.total(self.held_out)
        self.check(self.end["total"], "at the end")

    def advance(self) -> Tensor:
        """One step of Adam; returns the five losses before it."""
        import torch

        method, data = self.method, self.data
        rng = data.rng(FIRST_STEP + self.step)
        rows = torch.randint(self.trained, (method.batch,), generator=rng).to(data.w.device)
        values = data.values[rows].cpu()
        change = method.draw_changes(values, rng)
        w, values, change = (tensor.to(data.device) for tensor in (data.w[rows], values, change))
        losses = method.losses(self.mapper, data, w, values, change, self.unit)
        for group in self.optimiser.param_groups:
            group["lr"] = method.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        (losses * self.weights).sum().backward()
        self.optimiser.step()
        self.step += 1
        return losses.detach()

    def note(self, losses: Tensor) -> None:
        """Keep the losses of a step, tell them, and stop if they are not numbers."""
        total = float((losses * self.weights).sum())
        self.curve.steps.append(self.step)
        self.curve.losses.append([round(value, 6) for value in losses.tolist()])
        if not math.isfinite(total):
            self.check(total, f"at step {self.step}")
        self.data.progress(self.step, self.method.steps, f"loss {total:.3f}")

    def check(self, total: float, when: str) -> None:
        """Raise TrainingDivergedError unless a loss is finite and no higher than at the start, on the same codes."""
        start = self.start["total"]
        if math.isfinite(total) and total <= start:
            return
        self.kept.discard()
        raise TrainingDivergedError(
            f"l2l: the loss on held-out codes was {start:.4g} before training and is {total:.4g} {when}, after "
            f"{self.step} of {self.method.steps} steps: training diverged, nothing was published. Lower learning_rate "
            f"(now {self.method.learning_rate:g}) or raise steps in luigi.cfg: [method.l2l]."
        )

    def measure_each(self) -> tuple[Tensor, ...]:
        """The losses of every held-out code, always with the same changes, in the order of LOSSES."""
        import torch

        data = self.data
        w, values = data.w[self.trained :], data.values[self.trained :].cpu()
        change = self.method.draw_changes(values, data.rng(PROBE_CHANGES))
        with torch.no_grad():
            w, values, change = (tensor.to(data.device) for tensor in (w, values, change))
            return self.method.each_loss(self.mapper, data, w, values, change, self.unit)

    def total(self, each: tuple[Tensor, ...]) -> dict[str, float]:
        """The means of `measure_each`: their weighted `total` and each."""
        import torch

        losses = torch.stack([loss.mean() for loss in each])
        total = float((losses * self.weights).sum())
        return {"total": total, **dict(zip(LOSSES, losses.tolist(), strict=True))}

    def facts(self) -> dict[str, Any]:
        """What the training came to."""
        return {
            "mean_distance": self.unit,
            "start": self.start,
            "end": self.end,
            "noop_error": self.end["identity"],
            "cycle_error": self.end["cycle"],
            "attribute_error_kept": self.end["attribute"] / max(self.start["attribute"], 1e-12),
            "held_out": len(self.data.w) - self.trained,
            "held_out_losses": {name: loss.tolist() for name, loss in zip(LOSSES, self.held_out, strict=True)},
            "curve": {"steps": self.curve.steps, "names": list(LOSSES), "losses": self.curve.losses},
        }

    # Checkpoints

    def save(self) -> None:
        """Keep what a later call goes on from."""
        self.kept.save(
            {
                "step": self.step,
                "mapper": self.mapper.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "curve_steps": self.curve.steps,
                "curve_losses": self.curve.losses,
            }
        )

    def resume(self) -> None:
        """Take the checkpoint's state, if there is one of the same settings and data."""
        state = self.kept.load()
        if state is None:
            return
        self.mapper.load_state_dict(state["mapper"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self.curve = Curve(state["curve_steps"], state["curve_losses"])


def mean_distance(data: FitData) -> float:
    """Mean of ||w - w'|| over random pairs of the training codes."""
    import torch

    rng = data.rng(PAIRS)
    first, second = torch.randint(len(data.w), (2, DISTANCE_PAIRS), generator=rng).to(data.w.device)
    apart = first != second
    return float((data.w[first[apart]] - data.w[second[apart]]).double().norm(dim=1).mean())
