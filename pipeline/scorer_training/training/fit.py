"""The training of a scorer: order and mirroring depend only on (seed, epoch); resumable at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import TrainingDivergedError
from pipeline.networks.scorer import Scorer
from pipeline.optimisation.checkpoint import Checkpoint
from pipeline.optimisation.schedule import Schedule
from pipeline.optimisation.stepped import SteppedTraining
from pipeline.progress import Display
from pipeline.scorer_training.training.objective import Weights, loss_of, mirrored
from pipeline.scorer_training.training.pixels import Pixels

DECAY = 0.01
NOTED_EVERY = 20  # steps between two looks at the loss, each of which waits for the device
LONGEST_AVERAGE = 200  # steps


@dataclass(frozen=True)
class ScorerRecipe:
    """The settings on which a training's result depends, in addition to its data."""

    architecture: str
    width: int
    resolution: int
    epochs: int
    batch: int
    rate: float
    seed: int
    validation_share: float

    def steps_per_epoch(self, count: int) -> int:
        """Number of batches in an epoch over `count` faces, each of at most `batch` faces."""
        return -(-count // self.batch)

    def schedule(self, count: int) -> Schedule:
        """The learning rate schedule; weights are averaged over a twentieth of the steps, at most LONGEST_AVERAGE."""
        steps = self.epochs * self.steps_per_epoch(count)
        average = max(1, min(LONGEST_AVERAGE, steps // 20))
        return Schedule(steps, self.batch, self.rate, self.seed, average=average)


def epoch_batches(seed: int, epoch: int, rows: np.ndarray, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of an epoch: rows (n,) in random order, and a mask (n,) of the mirrored ones."""
    rng = np.random.default_rng([seed, epoch])
    order, flips = rng.permutation(rows), rng.random(len(rows)) < 0.5
    return list(zip(np.array_split(order, steps), np.array_split(flips, steps), strict=True))


class ScorerTraining(SteppedTraining):
    """One training of a scorer on some rows of decoded pictures and their values."""

    def __init__(
        self,
        scorer: Scorer,
        pixels: Pixels,
        values: np.ndarray,
        rows: np.ndarray,
        weights: Weights,
        recipe: ScorerRecipe,
        checkpoint: Checkpoint,
        device: torch.device,
        save_seconds: float | None = None,
    ) -> None:
        self.recipe, self.schedule = recipe, recipe.schedule(len(rows))
        self.per_epoch = recipe.steps_per_epoch(len(rows))
        scorer.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        scorer.train()
        super().__init__(
            {"scorer": scorer},
            torch.optim.AdamW(scorer.parameters(), lr=recipe.rate, weight_decay=DECAY),
            checkpoint,
            steps=self.schedule.steps,
            device=device,
            average=self.schedule.average,
            note_every=NOTED_EVERY,
            save_seconds=save_seconds,
        )
        self.scorer, self.pixels, self.rows = scorer, pixels, rows
        self.truth, self.weights = torch.from_numpy(values), weights.to(device)
        self.batches: tuple[int, list[tuple[np.ndarray, np.ndarray]]] = (-1, [])  # an epoch, and its batches

    @property
    def pictures(self) -> float:
        """How many pictures the steps so far have seen."""
        return self.step * len(self.rows) / self.per_epoch

    def take_steps(self) -> None:
        total = self.recipe.epochs * len(self.rows)
        with Display("training", total, "pictures", before=self.pictures) as self.display:
            super().take_steps()

    def rate(self, step: int) -> float:
        return self.schedule.rate_at(step)

    def loss(self) -> Tensor:
        """The weighted, masked cross-entropy of a batch, some of it mirrored."""
        epoch, index = divmod(self.step, self.per_epoch)
        if epoch != self.batches[0]:
            self.batches = epoch, epoch_batches(self.recipe.seed, epoch, self.rows, self.per_epoch)
        rows, flips = self.batches[1][index]
        return loss_of(*_batch(self.scorer, self.pixels, self.truth, rows, flips, self.device), self.weights)

    def note(self, losses: list[Tensor]) -> None:
        loss = torch.stack(losses).mean()
        self.check_finite(loss)
        epoch = (self.step - 1) // self.per_epoch + 1
        self.display.update(self.pictures, f"epoch {epoch} of {self.recipe.epochs}, loss {float(loss):.3f}")

    def diverge(self, loss: float, when: str) -> NoReturn:
        raise TrainingDivergedError(
            f"The loss is {loss} {when}; choose a lower --rate. The last good state is {self.checkpoint.path}."
        )


def fit(
    scorer: Scorer,
    pixels: Pixels,
    values: np.ndarray,
    rows: np.ndarray,
    weights: Weights,
    recipe: ScorerRecipe,
    checkpoint: Checkpoint,
    device: torch.device,
    save_seconds: float | None = None,
) -> None:
    """Train on some rows of `pixels` and `values`; at the end the scorer holds its averaged weights.

    Continues from the checkpoint. Raises StageError for a checkpoint of other settings, TrainingDivergedError for a
    loss that is not finite.
    """
    ScorerTraining(scorer, pixels, values, rows, weights, recipe, checkpoint, device, save_seconds).run()
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
