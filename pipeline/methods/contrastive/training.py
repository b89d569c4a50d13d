"""The training that LatentCLR and LLF share: a contrastive loss over K directions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.methods.interface import FitData, Method
from pipeline.methods.training import FIRST_STEP, MethodTraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TEMPERATURE = 0.5  # multiplies the similarity, in both authors' code
SMALLEST = 1e-8  # a shorter feature difference counts as none
WEIGHT_DECAY = 1e-3
DROPS, DROP = (1000, 5000), 0.2  # steps of a model at which its learning rate is multiplied by DROP
HELD_OUT = 8  # codes for validation, not used in training
VALIDATIONS = 5  # evenly spaced over a training
SLACK = 0.2 * TEMPERATURE  # by which the best validation loss may exceed its start: a short training is noisy
VALIDATION = FIRST_STEP - 1  # purpose of the random stream of the validations


@dataclass
class StepLoss:
    """The loss to minimise, its contrastive part, the share of right rows, and the share of rows left out as zero."""

    loss: Tensor
    contrast: float
    accuracy: float
    dropped: float


def unit_rows(differences: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (..., F) scaled to unit length, and which of them (...) are longer than SMALLEST.

    The norm is safe: a shorter row gets no gradient, where plain division would give NaN.

    >>> import torch
    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    (tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]]), tensor([ True, False]))
    """
    squared = differences.square().sum(dim=-1)
    there = squared > SMALLEST**2
    return differences * squared.clamp(min=SMALLEST**2).rsqrt()[..., None], there


def contrastive_loss(rows: Tensor, there: Tensor, temperature: float = TEMPERATURE) -> tuple[Tensor, float]:
    """The loss (a scalar with a gradient) and the accuracy of unit rows (K, B, F); only rows in `there` (K, B) count.

    S = exp(t |h . h'|). The positives of a row are the other samples of its direction, the negatives are all samples of
    the other directions. The loss of a row is -log(mean of S over positives / mean of S over negatives); the loss is
    the mean over rows. The accuracy is the share of rows whose positives have the larger mean.

    The loss lies in [-t, t]: |h . h'| lies in [0, 1], so both means lie in [1, exp(t)]. It is -t if and only if each
    direction changes the features of all samples alike (up to sign) and orthogonally to every other direction.
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


class ContrastiveTraining(MethodTraining):
    """One training of direction models, one model per step in turn.

    `objective(turn, w, rng)` is the outcome of model `turn` on codes w (B, 512). The models with the best validation
    are kept.
    """

    slack = SLACK

    def __init__(
        self,
        method: Method,
        data: FitData,
        models: nn.ModuleList,
        objective: Callable[[int, Tensor, torch.Generator], StepLoss],
        *,
        steps: int,
        batch: int,
        learning_rate: float,
    ) -> None:
        import torch

        optimiser = torch.optim.Adam(models.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
        super().__init__(method, data, {"models": models}, optimiser, steps=steps, learning_rate=learning_rate)
        self.models, self.objective, self.batch = models, objective, batch
        self.held_out = min(HELD_OUT, len(data.w) // 4)
        self.trained = len(data.w) - self.held_out
        self.validated = {math.ceil(steps * part / VALIDATIONS) for part in range(1, VALIDATIONS + 1)}
        self.validations: list[list[float]] = []  # step, loss, contrast, accuracy, share of dropped pairs
        self.best: dict[str, Tensor] = {}

    @property
    def start_loss(self) -> float:
        return self.validations[0][1] if self.validations else math.nan

    def run(self) -> None:
        super().run()
        self.check(min(entry[1] for entry in self.validations[1:]), "at best")
        self.models.load_state_dict(self.best)
        self.models.eval()

    def take_steps(self) -> None:
        if not self.validations:
            self.validate()
        super().take_steps()

    def advance(self) -> Tensor:
        loss = super().advance()
        if self.step in self.validated:
            self.validate()
        return loss

    def rate(self, step: int) -> float:
        taken = step // len(self.models)  # by each model
        return self.learning_rate * DROP ** sum(taken >= drop for drop in DROPS)

    def loss(self) -> Tensor:
        """The objective of the next model in turn, on a batch of training codes."""
        import torch

        rng = self.data.rng(FIRST_STEP + self.step)
        rows = torch.randint(self.trained, (self.batch,), generator=rng).to(self.data.w.device)
        self.models.train()
        outcome = self.objective(self.step % len(self.models), self.data.w[rows].to(self.device), rng)
        self.accuracy = outcome.accuracy
        return outcome.loss

    def noted(self, loss: float) -> tuple[list[float], str]:
        return [round(loss, 6), round(self.accuracy, 6)], f"loss {loss:.3f}, accuracy {self.accuracy:.2f}"

    def validate(self) -> None:
        """Measure the mean objective of all models on held-out codes; keep the models if it is the lowest so far."""
        import torch

        self.models.eval()
        w = self.data.w[self.trained :].to(self.data.device)
        with torch.no_grad():
            outcomes = [self.objective(turn, w, self.data.rng(VALIDATION)) for turn in range(len(self.models))]
        rows = [[float(part.loss), part.contrast, part.accuracy, part.dropped] for part in outcomes]
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        earlier = [entry[1] for entry in self.validations[1:]]
        self.validations.append([self.step, *(round(mean, 6) for mean in means)])
        if not math.isfinite(means[0]):
            self.diverge(means[0], f"at step {self.step}")
        if not earlier or self.validations[-1][1] < min(earlier):
            self.best = {key: value.detach().clone() for key, value in self.models.state_dict().items()}

    def facts(self) -> dict[str, Any]:
        """The losses at start and best, the bound, the number of held-out codes, validations and curve."""
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

    def state(self) -> dict[str, Any]:
        return {**super().state(), "best": self.best, "validations": self.validations}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.best, self.validations = state["best"], state["validations"]
