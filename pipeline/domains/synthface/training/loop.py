"""The stepped training of all networks of synthface: its log, and the settings its checkpoint depends on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import TrainingDivergedError
from pipeline.optimisation.checkpoint import Checkpoint
from pipeline.optimisation.schedule import Schedule
from pipeline.optimisation.stepped import Optimiser, SteppedTraining


def batch_of(seed: int, step: int, count: int, batch: int) -> np.ndarray:
    """Rows (batch,) of a set of `count` that a step trains on; depends on (seed, step) alone."""
    return np.sort(np.random.default_rng([seed, step]).integers(0, count, batch))


class NetworkTraining(SteppedTraining):
    """A training by `loss_of(step)` in a folder: NAME.ckpt, and a line of NAME.log.jsonl for each noted loss."""

    def __init__(
        self,
        name: str,
        modules: Mapping[str, nn.Module],
        optimiser: Optimiser,
        loss_of: Callable[[int], Tensor],
        schedule: Schedule,
        folder: Path,
        depends_on: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
        path = folder / f"{name}.ckpt"
        length = {key: value for key, value in asdict(schedule).items() if key != "save_seconds"}
        super().__init__(
            modules,
            optimiser,
            Checkpoint(path, {**length, **depends_on}, f"Train in another folder, or remove {path} to start over."),
            steps=schedule.steps,
            device=torch.device("cpu"),
            average=schedule.average,
            save_seconds=schedule.save_seconds,
        )
        self.name, self.loss_of, self.schedule, self.say = name, loss_of, schedule, say
        self.log = folder / f"{name}.log.jsonl"

    def take_steps(self) -> None:
        if self.step:
            self.say(f"{self.name}: continuing at step {self.step:,} of {self.steps:,}")
        self.first, self.started = self.step, time.monotonic()
        super().take_steps()

    def loss(self) -> Tensor:
        return self.loss_of(self.step)

    def rate(self, step: int) -> float:
        return self.schedule.rate_at(step)

    def note(self, losses: list[Tensor]) -> None:
        """Say the mean loss since the last note, the speed in images and the time left."""
        mean = torch.stack(losses).mean()
        self.check_finite(mean)
        seconds = time.monotonic() - self.started
        rate = (self.step - self.first) / seconds
        speed = f"{rate * self.schedule.batch:.0f}/s {(self.steps - self.step) / rate:.0f} s left"
        self.say(f"{self.name}: step {self.step:,}/{self.steps:,} loss {float(mean):.4f} {speed}")
        with self.log.open("a") as out:
            out.write(json.dumps({"step": self.step, "loss": float(mean), "seconds": seconds}) + "\n")

    def diverge(self, loss: float, when: str) -> NoReturn:
        raise TrainingDivergedError(
            f"{self.name}: the loss is {loss} {when}; the last checkpoint is {self.checkpoint.path}."
        )


def train(
    name: str,
    modules: Mapping[str, nn.Module],
    optimiser: Optimiser,
    loss_of: Callable[[int], Tensor],
    schedule: Schedule,
    folder: Path,
    depends_on: Mapping[str, Any],
    say: Callable[[str], None] = print,
) -> None:
    """Minimise `loss_of(step)`; at the end `modules` hold their averaged weights.

    The checkpoint in `folder` depends on the schedule and on `depends_on`. Raises StageError for one of another
    training, TrainingDivergedError for a loss that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    NetworkTraining(name, modules, optimiser, loss_of, schedule, folder, depends_on, say).run()
