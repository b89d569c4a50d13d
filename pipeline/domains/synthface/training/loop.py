"""One training loop for all networks: seeded by step, saving as it goes, resumable to the same result."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.domains.synthface.training.muon import MuonAndAdam
from pipeline.errors import TrainingDivergedError
from pipeline.networks.schedule import Schedule
from pipeline.storage.files import write_alone


def batch_of(seed: int, step: int, count: int, batch: int) -> np.ndarray:
    """Rows (batch,) of a set of `count` that a step trains on; depends on (seed, step) alone."""
    return np.sort(np.random.default_rng([seed, step]).integers(0, count, batch))


def train(
    name: str,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer | MuonAndAdam,
    loss_of: Callable[[int], Tensor],
    schedule: Schedule,
    folder: Path,
    say: Callable[[str], None] = print,
) -> None:
    """Minimise `loss_of(step)`; at the end `modules` hold their averaged weights.

    Every `save_seconds` the state goes to `folder/NAME.ckpt` by an atomic replacement; a new call continues there.
    Parameter groups may carry `scale`, a factor on the rate. Raises TrainingDivergedError on a loss that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, log = folder / f"{name}.ckpt", folder / f"{name}.log.jsonl"
    average = {key: {k: v.detach().clone() for k, v in m.state_dict().items()} for key, m in modules.items()}
    first = 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        for key, module in modules.items():
            module.load_state_dict(saved["modules"][key])
        optimizer.load_state_dict(saved["optimizer"])
        average, first = saved["average"], saved["step"]
        say(f"{name}: continuing at step {first:,} of {schedule.steps:,}")
    started = last_save = last_log = time.monotonic()
    running, counted = 0.0, 0

    def save(step: int) -> None:
        state = {
            "step": step,
            "modules": {key: module.state_dict() for key, module in modules.items()},
            "optimizer": optimizer.state_dict(),
            "average": average,
        }
        write_alone(path, lambda file: torch.save(state, file))

    for step in range(first, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step) * group.get("scale", 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(step)
        loss.backward()
        optimizer.step()
        _follow(average, modules, 1 / min(schedule.average, step + 1))
        running, counted = running + float(loss.detach()), counted + 1
        now = time.monotonic()
        if now - last_log > 15 or step + 1 == schedule.steps:
            mean = running / counted
            if not math.isfinite(mean):
                raise TrainingDivergedError(
                    f"{name}: the loss is {mean} at step {step:,}; the last checkpoint is {path}."
                )
            rate = (step + 1 - first) / (now - started)
            left = (schedule.steps - step - 1) / rate
            speed = f"{rate * schedule.batch:.0f}/s {left:.0f} s left"
            say(f"{name}: step {step + 1:,}/{schedule.steps:,} loss {mean:.4f} {speed}")
            with log.open("a") as out:
                out.write(json.dumps({"step": step + 1, "loss": mean, "seconds": now - started}) + "\n")
            running, counted, last_log = 0.0, 0, now
        if now - last_save > schedule.save_seconds:
            save(step + 1)
            last_save = now
    if first < schedule.steps:
        save(schedule.steps)
    for key, module in modules.items():
        module.load_state_dict(average[key])


@torch.no_grad()
def _follow(average: dict[str, dict[str, Tensor]], modules: dict[str, nn.Module], weight: float) -> None:
    for key, module in modules.items():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                average[key][name].lerp_(value, weight)
            else:
                average[key][name].copy_(value)
