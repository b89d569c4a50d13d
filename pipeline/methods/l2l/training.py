"""The training of L2L's mapper, through the frozen generator, scorer A and recognizer A."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pipeline.methods.interface import FitData, Method
from pipeline.methods.l2l.scales import Scales
from pipeline.methods.moments import by_columns
from pipeline.methods.training import FIRST_STEP, MethodTraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pipeline.methods.l2l.mapper import Mapper

PROBE = 64  # held-out codes that measure the mapper before, in and after training
VALIDATIONS = 20  # parts of a training after which they do, the last of which is its end
START, PAIRS, PROBE_CHANGES = 0, 1, 2  # purposes of random streams
# In the order of stacking.
LOSSES = ("attribute", "cycle", "identity", "neighbourhood", "face")


class TrainableL2L(Method):
    """The part of a method that its training uses."""

    steps: int
    batch: int
    learning_rate: float
    units: str

    @abstractmethod
    def new_mapper(self, w_dim: int, attributes: int, num_ws: int, rng: torch.Generator | None) -> Mapper:
        """An untrained mapper."""

    @abstractmethod
    def draw_changes(self, values: Tensor, rng: torch.Generator, scales: Scales) -> Tensor:
        """Changes (N, 35) of values (N, 35) for training."""

    @abstractmethod
    def losses(
        self, mapper: nn.Module, data: FitData, w: Tensor, values: Tensor, change: Tensor, scales: Scales
    ) -> Tensor:
        """The means of `each_loss`, in the order of LOSSES."""

    @abstractmethod
    def each_loss(
        self, mapper: nn.Module, data: FitData, w: Tensor, values: Tensor, change: Tensor, scales: Scales
    ) -> tuple[Tensor, ...]:
        """The losses of every code, (N,) each, in the order of LOSSES."""

    @abstractmethod
    def weights(self) -> list[float]:
        """The weights of the losses, in the order of LOSSES."""

    @abstractmethod
    def rate(self, step: int) -> float:
        """The learning rate of a step."""


class L2LTraining(MethodTraining):
    """One training of the mapper."""

    def __init__(self, method: TrainableL2L, data: FitData) -> None:
        import torch

        self.method = method
        held_out = min(PROBE, len(data.w) // 4)
        self.trained = len(data.w) - held_out
        self.scales = Scales.of(data.w, data.values, data.rng(PAIRS), method.units)
        self.mapper = method.new_mapper(
            data.w.shape[1], len(data.attributes), data.generator.num_ws, data.rng(START)
        ).to(data.device)
        spread, mean = by_columns(torch.std_mean, data.w[: self.trained])
        floor = 1e-3 * spread.max().clamp(min=1e-12)
        self.mapper.mean.copy_(mean)
        self.mapper.scale.copy_(spread.clamp(min=floor))
        self.mapper.unit.copy_(self.scales.unit)
        optimiser = torch.optim.Adam(self.mapper.parameters(), lr=method.learning_rate, fused=True)
        self.weights = torch.tensor(method.weights(), device=data.device)
        super().__init__(
            method,
            data,
            {"mapper": self.mapper},
            optimiser,
            steps=method.steps,
            learning_rate=method.learning_rate,
        )
        self.start = self.total(self.measure_each())
        self.validated = {math.ceil(method.steps * part / VALIDATIONS) for part in range(1, VALIDATIONS)}
        self.validations: list[tuple[int, dict[str, float]]] = []  # step, losses on held-out codes

    @property
    def start_loss(self) -> float:
        return self.start["total"]

    def rate(self, step: int) -> float:
        return self.method.rate(step)

    def loss(self) -> Tensor:
        """The weighted sum of the five losses, of a batch of training codes."""
        import torch

        method, data = self.method, self.data
        rng = data.rng(FIRST_STEP + self.step)
        rows = torch.randint(self.trained, (method.batch,), generator=rng).to(data.w.device)
        values = data.values[rows].cpu()
        change = method.draw_changes(values, rng, self.scales)
        w, values, change = (tensor.to(data.device) for tensor in (data.w[rows], values, change))
        losses = method.losses(self.mapper, data, w, values, change, self.scales)
        self.parts = losses.detach()
        return (losses * self.weights).sum()

    def advance(self) -> Tensor:
        loss = super().advance()
        if self.step in self.validated and self.step < self.steps:
            self.validations.append((self.step, self.total(self.measure_each())))
        return loss

    def state(self) -> dict[str, Any]:
        return {**super().state(), "validations": self.validations}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.validations = state["validations"]

    def noted(self, loss: float) -> tuple[list[float], str]:
        return [round(value, 6) for value in self.parts.tolist()], f"loss {loss:.3f}"

    def run(self) -> None:
        super().run()
        self.held_out = self.measure_each()
        self.end = self.total(self.held_out)
        self.check(self.end["total"], "at the end")

    def measure_each(self) -> tuple[Tensor, ...]:
        """The losses of every held-out code, in the order of LOSSES; the changes are always the same."""
        import torch

        data = self.data
        w, values = data.w[self.trained :], data.values[self.trained :].cpu()
        change = self.method.draw_changes(values, data.rng(PROBE_CHANGES), self.scales)
        with torch.no_grad():
            w, values, change = (tensor.to(data.device) for tensor in (w, values, change))
            return self.method.each_loss(self.mapper, data, w, values, change, self.scales)

    def total(self, each: tuple[Tensor, ...]) -> dict[str, float]:
        """The mean of each loss of `measure_each`, and their weighted `total`."""
        import torch

        losses = torch.stack([loss.mean() for loss in each])
        total = float((losses * self.weights).sum())
        return {"total": total, **dict(zip(LOSSES, losses.tolist(), strict=True))}

    def facts(self) -> dict[str, Any]:
        """Losses at start and end, errors, the number of held-out codes and their losses, the curves.

        `curve` has the losses of single batches; `held_out_curve` the means over the held-out codes, whose changes are
        always the same, so that only it says when training stops to pay.
        """
        validated = [(0, self.start), *self.validations, (self.steps, self.end)]
        return {
            "mean_distance": self.scales.distance,
            "attribute_units": self.scales.unit.tolist(),
            "start": self.start,
            "end": self.end,
            "noop_error": self.end["identity"],
            "cycle_error": self.end["cycle"],
            "attribute_error_kept": self.end["attribute"] / max(self.start["attribute"], 1e-12),
            "held_out": len(self.data.w) - self.trained,
            "held_out_losses": {name: loss.tolist() for name, loss in zip(LOSSES, self.held_out, strict=True)},
            "curve": {
                "steps": [point[0] for point in self.curve],
                "names": list(LOSSES),
                "losses": [point[1:] for point in self.curve],
            },
            "held_out_curve": {
                "steps": [step for step, _ in validated],
                "names": ["total", *LOSSES],
                "losses": [[round(value, 6) for value in losses.values()] for _, losses in validated],
            },
        }
