"""Training by steps: checkpoints, resuming to the bit, averaged weights, and an end where the loss is no number."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from pipeline.optimisation.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

SAVE_SECONDS = 60.0  # between two checkpoints
CURVE_POINTS = 200  # of the loss that a training notes


class Optimiser(Protocol):
    """What a training uses of torch's optimisers."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    def zero_grad(self, set_to_none: bool = True) -> None: ...

    def step(self) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class SteppedTraining(ABC):
    """Minimises `loss` by `steps` steps of an optimiser, and goes on where an earlier process stopped.

    A step may draw from its number and a seed alone. Then a resumed training ends with the bits of an uninterrupted
    one, on as many threads. `modules` are all that is trained. With `average` they end as an exponential average of
    their weights over about so many steps. A parameter group may have a `scale`, a factor on the rate.
    The loss is noted every `note_every` steps, by default CURVE_POINTS times, and after the last step. The state is
    saved every `save_seconds` and after the last step.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimiser: Optimiser,
        checkpoint: Checkpoint,
        *,
        steps: int,
        device: torch.device,
        average: int = 0,
        note_every: int = 0,
        save_seconds: float | None = None,
    ) -> None:
        self.modules, self.optimiser, self.checkpoint = dict(modules), optimiser, checkpoint
        self.steps, self.device, self.average = steps, device, average
        self.note_every = note_every or max(1, steps // CURVE_POINTS)
        self.save_seconds = SAVE_SECONDS if save_seconds is None else save_seconds
        self.step = 0
        self.curve: list[list[float]] = []  # of each noted step: its number, and what the training notes
        self.averages: dict[str, dict[str, Tensor]] = {}

    @abstractmethod
    def loss(self) -> Tensor:
        """The loss of step `self.step`, a number with a gradient."""

    @abstractmethod
    def rate(self, step: int) -> float:
        """The learning rate of a step."""

    @abstractmethod
    def note(self, losses: list[Tensor]) -> None:
        """Tell and keep how the training goes, after a step. `losses` are numbers without gradients, one of each step
        since the last note.

        Raises TrainingDivergedError, by `diverge`, where a loss is no finite number.
        """

    @abstractmethod
    def diverge(self, loss: float, when: str) -> NoReturn:
        """Raise TrainingDivergedError for a loss, with what to do."""

    def run(self) -> None:
        """All steps that are left. Raises TrainingDivergedError; StageError as `Checkpoint` does."""
        self.resume()
        self.take_steps()
        for name, average in self.averages.items():
            self.modules[name].load_state_dict(average)

    def take_steps(self) -> None:
        """The steps that are left, with notes and checkpoints."""
        saved = time.monotonic()
        losses: list[Tensor] = []
        while self.step < self.steps:
            losses.append(self.advance())
            last = self.step == self.steps
            save = last or time.monotonic() - saved >= self.save_seconds
            if save:
                self.check_finite(losses[-1])
            if last or self.step % self.note_every == 0:
                self.note(losses)
                losses = []
            if save:
                self.save()
                saved = time.monotonic()

    def advance(self) -> Tensor:
        """One step; the loss before it, without a gradient."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step) * group.get("scale", 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimiser.step()
        self.step += 1
        if self.average:
            follow(self.averages, self.modules, 1 / min(self.average, self.step))
        return loss.detach()

    def check_finite(self, loss: Tensor) -> None:
        """Raise TrainingDivergedError unless the loss of the step before is a finite number."""
        value = float(loss)
        if not math.isfinite(value):
            self.diverge(value, f"at step {self.step:,}")

    def state(self) -> dict[str, Any]:
        """What another process goes on from; a training that keeps more adds it."""
        return {
            "step": self.step,
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimiser": self.optimiser.state_dict(),
            "averages": self.averages,
            "curve": self.curve,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.averages, self.curve = state["step"], state["averages"], state["curve"]

    def save(self) -> None:
        """Replace the checkpoint."""
        self.checkpoint.save(self.state())

    def resume(self) -> None:
        """Take the checkpoint's state, if there is one; else the averages begin at the weights as they are."""
        state = self.checkpoint.load(self.device)
        if state is not None:
            self.restore(state)
        elif self.average:
            self.averages = {
                name: {key: value.detach().clone() for key, value in module.state_dict().items()}
                for name, module in self.modules.items()
            }


def follow(averages: Mapping[str, dict[str, Tensor]], modules: Mapping[str, nn.Module], weight: float) -> None:
    """Move averages a share of the way to the modules' weights, in place; whole numbers are copied."""
    import torch

    with torch.no_grad():
        for name, module in modules.items():
            for key, value in module.state_dict().items():
                if value.is_floating_point():
                    averages[name][key].lerp_(value, weight)
                else:
                    averages[name][key].copy_(value)


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
        for parameter, required in grads:
            parameter.requires_grad_(required)
