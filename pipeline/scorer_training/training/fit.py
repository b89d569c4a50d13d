"""The training loop of a scorer: order and flips keyed by (seed, epoch), resumable at every step."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import TrainingDivergedError
from pipeline.networks.schedule import Schedule
from pipeline.networks.scorer import Scorer
from pipeline.progress import Display
from pipeline.scorer_training.training.checkpoint import Checkpoint
from pipeline.scorer_training.training.objective import Weights, loss_of, mirrored
from pipeline.scorer_training.training.pixels import Pixels

DECAY = 0.01
CHECKED_EVERY = 20  # steps between two looks at the loss, each of which waits for the device
LONGEST_AVERAGE = 200  # steps


@dataclass(frozen=True)
class Recipe:
    """What a training's result hangs on besides its data."""

    architecture: str
    width: int
    resolution: int
    epochs: int
    batch: int
    rate: float
    seed: int
    validation_share: float

    def steps_per_epoch(self, count: int) -> int:
        """Batches of an epoch over `count` faces; none is smaller than half of `batch`, nor larger than it."""
        return -(-count // self.batch)

    def schedule(self, count: int) -> Schedule:
        """Rate by step, and over how many steps the weights are averaged: a twentieth of all."""
        steps = self.epochs * self.steps_per_epoch(count)
        average = max(1, min(LONGEST_AVERAGE, steps // 20))
        return Schedule(steps, self.batch, self.rate, self.seed, average=average)


def epoch_batches(seed: int, epoch: int, rows: np.ndarray, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """An epoch's batches: rows (n,) in a drawn order, and which of them are mirrored, (n,) bool."""
    rng = np.random.default_rng([seed, epoch])
    order, flips = rng.permutation(rows), rng.random(len(rows)) < 0.5
    return list(zip(np.array_split(order, steps), np.array_split(flips, steps), strict=True))


def fit(
    scorer: Scorer,
    pixels: Pixels,
    values: np.ndarray,
    rows: np.ndarray,
    weights: Weights,
    recipe: Recipe,
    checkpoint: Checkpoint,
    device: torch.device,
    save_seconds: float = 60.0,
) -> None:
    """Train on some rows of `pixels` and `values`; at the end the scorer holds its averaged weights.

    Continues from the checkpoint, which is replaced every `save_seconds` and at the end. Raises StageError for a
    checkpoint of other settings, TrainingDivergedError for a loss that is not finite.
    """
    schedule, per_epoch = recipe.schedule(len(rows)), recipe.steps_per_epoch(len(rows))
    scorer.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scorer.train()
    weights, truth = weights.to(device), torch.from_numpy(values)
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=recipe.rate, weight_decay=DECAY)
    average = {key: value.detach().clone() for key, value in scorer.state_dict().items()}
    first = 0
    kept = checkpoint.load(device)
    if kept is not None:
        scorer.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        average, first = kept["average"], int(kept["step"])

    def save(step: int) -> None:
        state = {"network": scorer.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "step": step}
        checkpoint.save(state)

    total, before = recipe.epochs * len(rows), first * len(rows) / per_epoch
    saved, batches, drawn = time.monotonic(), [], -1
    running: list[Tensor] = []
    with Display("training", total, "pictures", before=before) as display:
        for step in range(first, schedule.steps):
            epoch, place = divmod(step, per_epoch)
            if epoch != drawn:
                batches, drawn = epoch_batches(recipe.seed, epoch, rows, per_epoch), epoch
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate_at(step)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(*_batch(scorer, pixels, truth, *batches[place], device), weights)
            loss.backward()
            optimizer.step()
            _follow(average, scorer, 1 / min(schedule.average, step + 1))
            running.append(loss.detach())
            if len(running) == CHECKED_EVERY or step + 1 == schedule.steps:
                mean = float(torch.stack(running).mean())
                if not math.isfinite(mean):
                    raise TrainingDivergedError(
                        f"The loss is {mean} at step {step + 1:,}; choose a lower --rate. The last good state is "
                        f"{checkpoint.path}."
                    )
                note = f"epoch {epoch + 1} of {recipe.epochs}, loss {mean:.3f}"
                display.update((step + 1) * len(rows) / per_epoch, note)
                running.clear()
                if step + 1 == schedule.steps or time.monotonic() - saved > save_seconds:
                    save(step + 1)
                    saved = time.monotonic()
    scorer.load_state_dict(average)
    scorer.eval()


def _batch(
    scorer: Scorer, pixels: Pixels, truth: Tensor, rows: np.ndarray, flips: np.ndarray, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Logits and values (n, 35) of a batch, some of it mirrored."""
    images, values = pixels.batch(rows).to(device), truth[torch.from_numpy(rows)]
    flip = torch.from_numpy(flips)
    values = torch.where(flip[:, None], mirrored(values), values).to(device)
    images = torch.where(flip.to(device)[:, None, None, None], images.flip(-1), images)
    return scorer.logits(images), values


@torch.no_grad()
def _follow(average: dict[str, Tensor], network: nn.Module, weight: float) -> None:
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, weight)
        else:
            average[name].copy_(value)
