"""What LatentCLR and LLF share: the contrastive loss over K directions, and the training by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import TrainingDivergedError
from pipeline.methods.base import FitData, Method
from pipeline.methods.checkpoints import Checkpoint

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TEMPERATURE = 0.5  # multiplies the similarity, in both authors' code
SMALLEST = 1e-8  # length under which a feature difference is none
WEIGHT_DECAY = 1e-3
DROPS, DROP = (1000, 5000), 0.2  # steps at which the learning rate is multiplied by DROP
HELD_OUT = 8  # codes of the validation, which training never sees
VALIDATIONS = 5  # over a training, evenly
CHECKPOINT_STEPS = 200  # between two checkpoints
CURVE_POINTS = 200  # of the loss that are kept
SLACK = 0.2 * TEMPERATURE  # that the best validation loss may lie above its start: a short training is noisy
FIRST_STEP = 1000  # purpose of step k's random stream, less k; that of every validation is one below it


@dataclass
class Outcome:
    """A loss to minimise; its contrastive part; share of right pairs; shares of pairs left out as zero."""

    loss: Tensor
    contrast: float
    accuracy: float
    dropped: float


def unit_rows(differences: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (..., F) scaled to unit length, and which of them (...) are none of the zeros.

    The safe norm: a row shorter than SMALLEST is left out and gets no gradient, where plain division gives NaN.
    """
    squared = differences.square().sum(dim=-1)
    there = squared > SMALLEST**2
    return differences * squared.clamp(min=SMALLEST**2).rsqrt()[..., None], there


def contrastive_loss(rows: Tensor, there: Tensor, temperature: float = TEMPERATURE) -> tuple[Tensor, float]:
    """The loss (a number with a gradient) and the accuracy of unit rows (K, B, F), those in `there` (K, B) alone.

    S = exp(t |h . h'|). A row's positives are the other samples of its direction, its negatives all samples of the
    other directions; its loss is -log(mean of S over positives / mean over negatives), and the loss is the rows' mean.

    Its bound: |h . h'| lies in [0, 1], so both means lie in [1, exp(t)], and every row's loss in [-t, t]. -t is reached
    if and only if every direction changes all samples' features alike (up to sign) and orthogonally to every
    other's. The accuracy is the share of rows whose positives have the larger mean.
    """
    import torch

    count, batch, width = rows.shape
    flat, valid = rows.reshape(-1, width), there.reshape(-1)
    similarity = torch.exp(temperature * (flat @ flat.T).abs())
    direction = torch.arange(count, device=rows.device).repeat_interleave(batch)
    same = direction[:, None] == direction
    itself = torch.eye(len(flat), dtype=torch.bool, device=rows.device)
    positive, negative = same & ~itself & valid, ~same & valid
    usable = valid & positive.any(dim=1) & negative.any(dim=1)
    if not bool(usable.any()):
        return rows.sum() * 0.0, 0.0
    means = [(similarity * pairs).sum(dim=1) / pairs.sum(dim=1).clamp(min=1) for pairs in (positive, negative)]
    pulled, pushed = (mean[usable] for mean in means)
    return (pushed.log() - pulled.log()).mean(), float((pulled > pushed).float().mean())


class ContrastiveTraining:
    """One training of direction models, in turn one per step, by an objective of codes (B, 512).

    `objective(turn, w, rng)` is that of model `turn`. What step k draws depends on (seed, k) alone, so that a resumed
    training gives the very bits of an undisturbed one on as many threads. The best validation's models are kept.
    """

    def __init__(
        self,
        method: Method,
        data: FitData,
        models: nn.ModuleList,
        objective: Callable[[int, Tensor, torch.Generator], Outcome],
        *,
        steps: int,
        batch: int,
        learning_rate: float,
    ) -> None:
        import torch

        self.name, self.data = method.name, data
        self.checkpoint = Checkpoint(method, data)
        self.models, self.objective = models, objective
        self.steps, self.batch, self.learning_rate = steps, batch, learning_rate
        self.held_out = min(HELD_OUT, len(data.w) // 4)
        self.trained = len(data.w) - self.held_out
        self.optimiser = torch.optim.Adam(models.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)
        self.step = 0
        self.curve: list[list[float]] = []  # step, loss, accuracy
        self.validations: list[list[float]] = []  # step, loss, contrast, accuracy, share of dropped pairs
        self.best: dict[str, Tensor] = {}

    def run(self) -> None:
        """Every step that is left; leaves the best models. Raises TrainingDivergedError."""
        self.resume()
        if not self.validations:
            self.validate()
        every = max(1, self.steps // CURVE_POINTS)
        due = {math.ceil(self.steps * part / VALIDATIONS) for part in range(1, VALIDATIONS + 1)}
        while self.step < self.steps:
            outcome = self.advance()
            if self.step % every == 0 or self.step == self.steps:
                self.note(outcome)
            if self.step in due:
                self.validate()
            if self.step % CHECKPOINT_STEPS == 0:
                self.save()
        self.check(min(entry[1] for entry in self.validations[1:]), "at best")
        self.models.load_state_dict(self.best)
        self.models.eval()

    def advance(self) -> Outcome:
        """One step of Adam on the model whose turn it is; the outcome before it."""
        import torch

        rng = self.data.rng(FIRST_STEP + self.step)
        rows = torch.randint(self.trained, (self.batch,), generator=rng).to(self.data.w.device)
        self.models.train()
        outcome = self.objective(self.step % len(self.models), self.data.w[rows].to(self.data.device), rng)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * DROP ** sum(self.step >= drop for drop in DROPS)
        self.optimiser.zero_grad(set_to_none=True)
        outcome.loss.backward()
        self.optimiser.step()
        self.step += 1
        return outcome

    def note(self, outcome: Outcome) -> None:
        """Keep the loss of a step, tell it, and stop if it is not a number."""
        total = float(outcome.loss.detach())
        if not math.isfinite(total):
            self.check(total, f"at step {self.step}")
        self.curve.append([self.step, round(total, 6), round(outcome.accuracy, 6)])
        self.data.progress(self.step, self.steps, f"loss {total:.3f}, accuracy {outcome.accuracy:.2f}")

    def validate(self) -> None:
        """The training objective on the held-out codes, mean over the models; keeps the models if it is the lowest."""
        import torch

        self.models.eval()
        w = self.data.w[self.trained :].to(self.data.device)
        with torch.no_grad():
            outcomes = [self.objective(turn, w, self.data.rng(FIRST_STEP - 1)) for turn in range(len(self.models))]
        rows = [[float(one.loss), one.contrast, one.accuracy, one.dropped] for one in outcomes]
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        earlier = [entry[1] for entry in self.validations[1:]]
        self.validations.append([self.step, *(round(mean, 6) for mean in means)])
        if not math.isfinite(means[0]):
            self.check(means[0], f"at step {self.step}")
        if not earlier or self.validations[-1][1] < min(earlier):
            self.best = {key: value.detach().clone() for key, value in self.models.state_dict().items()}

    def check(self, total: float, when: str) -> None:
        """Raise TrainingDivergedError unless a loss is finite and not above the validation's start."""
        start = self.validations[0][1] if self.validations else math.nan
        if math.isfinite(total) and math.isfinite(start) and total <= start + SLACK:
            return
        self.checkpoint.discard()
        raise TrainingDivergedError(
            f"{self.name}: the loss on held-out codes was {start:.4g} before training and is {total:.4g} {when}, after "
            f"{self.step} of {self.steps} steps: training diverged, nothing was published. Lower learning_rate (now "
            f"{self.learning_rate:g}) or raise steps in luigi.cfg: [method.{self.name}]."
        )

    def facts(self) -> dict[str, Any]:
        """What the training came to."""
        best = min(self.validations[1:], key=lambda entry: entry[1])
        names = ("step", "loss", "contrast", "accuracy", "dropped")
        return {
            "bound": -TEMPERATURE,
            "start": dict(zip(names, self.validations[0], strict=True)),
            "best": dict(zip(names, best, strict=True)),
            "held_out": self.held_out,
            "validations": self.validations,
            "curve": self.curve,
        }

    def save(self) -> None:
        """Keep what going on takes."""
        self.checkpoint.save(
            {
                "step": self.step,
                "models": self.models.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "best": self.best,
                "curve": self.curve,
                "validations": self.validations,
            }
        )

    def resume(self) -> None:
        """Take what was kept, if it is of the same settings and data."""
        state = self.checkpoint.load()
        if state is None:
            return
        self.models.load_state_dict(state["models"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best = state["step"], state["best"]
        self.curve, self.validations = state["curve"], state["validations"]
