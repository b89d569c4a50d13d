"""Training of scorers, recognizers and the perception net on rendered faces with known truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline import attributes
from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.training.loop import batch_of, train
from pipeline.domains.synthface.training.muon import MuonAndAdam
from pipeline.domains.synthface.training.sets import PER_PERSON, RenderedSet, kind_of
from pipeline.networks.perception import Perception
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from pipeline.optimisation.checkpoint import sha256_of
from pipeline.optimisation.schedule import Schedule
from pipeline.storage.fingerprint import bytes_sha256

Say = Callable[[str], None]
MARGIN, SHARPNESS = 0.15, 20.0  # CosFace (Wang et al., CVPR 2018): subtracted from the true class's cosine; the scale
FACTOR_SHARE = 5.0  # weight of the identity factors, relative to CosFace
IDENTITY = [*face_factors.IDENTITY_INDEX, attributes.INDEX["gender"]]  # what a person of `identities` keeps
ADAM_SCALE = 0.5  # learning rate of biases and norms, relative to the kernels'
SMALLEST_VARIANCE = 0.003  # lower bound of a value's variance, which bounds the weight of rare attributes


class Mixed:
    """Several rendered sets as one; rows count through the sets in order."""

    def __init__(self, parts: list[RenderedSet]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0, *(len(part.images) for part in parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def values(self) -> Tensor:
        """The 35 attributes (len, 35) of all faces, a copy in memory."""
        return torch.cat([torch.from_numpy(part.factors[:, : len(attributes.NAMES)].copy()) for part in self.parts])

    @property
    def sha256(self) -> str:
        """sha256 over the sets' own."""
        return bytes_sha256(" ".join(part.sha256 for part in self.parts).encode())

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Images and factors of rows, which must be sorted."""
        found = [
            part.batch(rows[(rows >= low) & (rows < high)] - low)
            for part, low, high in zip(self.parts, self.starts[:-1], self.starts[1:], strict=True)
        ]
        return torch.cat([images for images, _ in found]), torch.cat([drawn for _, drawn in found])


def augmented(images: Tensor, seed: int, step: int) -> Tensor:
    """Images with small random changes of contrast, brightness and sharpness, as between generators; same truth."""
    rng = torch.Generator().manual_seed((seed << 32) + step)
    n = len(images)
    gain = 1 + 0.04 * (torch.rand(n, 1, 1, 1, generator=rng) - 0.5)
    shift = 0.03 * (torch.rand(n, 3, 1, 1, generator=rng) - 0.5)
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = torch.rand(n, 1, 1, 1, generator=rng) * (torch.rand(n, 1, 1, 1, generator=rng) < 0.3) * 0.3
    return torch.lerp(images, soft, amount) * gain + shift


def autocast() -> torch.autocast:
    """bfloat16 in the convolutions, for training only: twice as fast on processors that support it."""
    return torch.autocast("cpu", dtype=torch.bfloat16)


def train_scorer(scorer: Scorer, faces: Mixed, schedule: Schedule, name: str, folder: Path, say: Say) -> None:
    """Squared error of every value over that value's variance in the set."""
    variance = torch.cat([torch.from_numpy(part.factors[:4096, :35].copy()) for part in faces.parts]).var(dim=0)
    weight = 1 / variance.clamp(min=SMALLEST_VARIANCE)

    def loss_of(step: int) -> Tensor:
        images, drawn = faces.batch(batch_of(schedule.seed, step, len(faces), schedule.batch))
        with autocast():
            logits = scorer.logits(augmented(images, schedule.seed, step))
        error = logits.float().sigmoid() - face_factors.attributes_of(drawn)
        return (error.square() * weight).mean()

    train_one(scorer, nn.Module(), loss_of, schedule, faces, name, folder, say)


def train_recognizer(
    recognizer: Recognizer, faces: RenderedSet, schedule: Schedule, name: str, folder: Path, say: Say
) -> None:
    """CosFace over the persons of a set of kind `identities`, and regression of their true identity factors.

    CosFace alone hardly learns on persons this similar; the factors show the network what to look at.
    """
    persons = len(faces.images) // PER_PERSON
    centres = nn.Linear(recognizer.dimensions, persons, bias=False)
    factors = nn.Linear(recognizer.dimensions, len(IDENTITY))
    known = torch.from_numpy(faces.factors[::PER_PERSON, IDENTITY].copy())
    middle, spread = known.mean(dim=0), known.std(dim=0)

    def loss_of(step: int) -> Tensor:
        rows = batch_of(schedule.seed, step, len(faces.images), schedule.batch)
        images, drawn = faces.batch(rows)
        person = torch.from_numpy(rows // PER_PERSON)
        with autocast():
            raw = recognizer.raw(augmented(images, schedule.seed, step)).float()
        cosine = functional.normalize(raw, dim=1) @ functional.normalize(centres.weight, dim=1).T
        warm = min(1.0, step / (0.3 * schedule.steps))
        own = functional.one_hot(person, persons) * (MARGIN * warm)
        error = factors(raw) - (drawn[:, IDENTITY] - middle) / spread
        return functional.cross_entropy(SHARPNESS * (cosine - own), person) + FACTOR_SHARE * error.square().mean()

    helper = nn.ModuleDict({"centres": centres, "factors": factors})
    train_one(recognizer, helper, loss_of, schedule, faces, name, folder, say)


# Classes of the perception net: gender x three ages x glasses x two brightnesses of hair.
CLASSES = 2 * 3 * 2 * 2


def train_perception(
    perception: Perception, faces: Mixed, schedule: Schedule, name: str, folder: Path, say: Say
) -> None:
    """Cross-entropy of the class, plus squared error of every factor, so that features describe the whole face."""
    factors = nn.Linear(perception.feature_width, face_factors.N_FACTORS)

    def loss_of(step: int) -> Tensor:
        images, drawn = faces.batch(batch_of(schedule.seed, step, len(faces), schedule.batch))
        with autocast():
            features, logits = perception.both(images)
            read = factors(features)
        return functional.cross_entropy(logits.float(), kind_of(drawn)) + 10 * functional.mse_loss(read.float(), drawn)

    train_one(perception, factors, loss_of, schedule, faces, name, folder, say)


def train_one(
    network: nn.Module,
    helper: nn.Module,
    loss_of: Callable[[int], Tensor],
    schedule: Schedule,
    faces: Mixed | RenderedSet,
    name: str,
    folder: Path,
    say: Say,
) -> None:
    """Minimise `loss_of(step)`, of these faces, over the network and the helper that training alone needs."""
    network.train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = MuonAndAdam([network, helper], adam_scale=ADAM_SCALE, betas=(0.9, 0.99), decay=0.01)
    depends_on = {"faces": faces.sha256, "start": sha256_of(network.state_dict().values())}
    train(name, {"network": network, "helper": helper}, optimizer, loss_of, schedule, folder, depends_on, say)
    network.eval()
