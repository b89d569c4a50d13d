"""Distilling the embedded generator: w -> truth is known, and so is the picture of every w."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline import attributes
from pipeline.domains.synthface.camera import grain
from pipeline.domains.synthface.training.early import EarlyTruth, attribute_weight
from pipeline.domains.synthface.training.judges import SMALLEST_VARIANCE, Mixed, augmented, autocast
from pipeline.domains.synthface.training.loop import batch_of, train
from pipeline.domains.synthface.training.muon import MuonAndAdam
from pipeline.domains.synthface.training.sets import RenderSet
from pipeline.domains.synthface.truth import make_mapping
from pipeline.networks.perception import Perception
from pipeline.networks.scorer import Scorer
from pipeline.optimisation.checkpoint import sha256_of
from pipeline.optimisation.schedule import Schedule
from stylegan.generator import Generator
from stylegan.training import detail_loss, image_at, pixel_loss

CHANNELS = {4: 256, 8: 256, 16: 96, 32: 64, 64: 32}
FACE_WEIGHT = 1.0  # of pixels from eyes to mouth, beside 1 elsewhere, at full resolution
VALUE_SHARE = 0.3  # weight of what scorer A reads, at full resolution
ENTROPY_SHARE = 0.25  # of the cross-entropy of binary values, beside squared errors
SQUARES = 8.0  # weight of squared errors, at full resolution: a missing part costs more than softness all over
ADAM_SCALE = 0.08  # rate of biases, constants and toRGB beside that of the kernels
FEATURE_SHARE = 0.15  # weight of the perception net's activations, at full resolution
DETAIL_SHARE = 20.0  # weight of the strength of detail, at full resolution
OF_PARENT = 0.5  # share of the weights before a further training in those that it leaves
EARLY_SHARE = 10.0  # weight of the truth read from early features, at full resolution

Say = Callable[[str], None]


def new_generator(seed: int) -> Generator:
    """The embedded architecture, 64 px: the made mapping network, and a synthesis network with seeded start values."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = Generator(resolution=max(CHANNELS), channels=CHANNELS)
    generator.mapping.load_state_dict(make_mapping().state_dict())
    generator.mapping.requires_grad_(False)
    set_grain(generator)
    return generator


def set_grain(generator: Generator) -> None:
    """Make the last block's constant noise the camera's grain, so that it can add what `noise` adds to a render."""
    for layer in ("conv0", "conv1"):
        noise = generator.synthesis.get_submodule(f"b{generator.resolution}.{layer}").get_buffer("noise_const")
        noise.copy_(grain(generator.resolution)[0, 0])


@torch.no_grad()
def all_w(sets: list[RenderSet]) -> Tensor:
    """w (N, 512) of the faces of some sets, one set after the other."""
    found = []
    for wanted in sets:
        for ids in np.array_split(np.arange(wanted.count), max(1, wanted.count // 4096)):
            found.append(wanted.w(ids))
    return torch.cat(found)


class Judges:
    """What is asked of full-size images beside their pixels: like activations, and the true values to scorer A.

    Scorer B has no part in it, so that it can measure what came out.
    """

    def __init__(self, perception: Perception, scorer_a: Scorer, faces: Mixed) -> None:
        self.perception, self.scorer_a = perception, scorer_a
        self.values = faces.values
        self.weight = attribute_weight() / self.values.var(dim=0).clamp(min=SMALLEST_VARIANCE)

    def loss(self, made: Tensor, wanted: Tensor, rows: np.ndarray, seed: int, step: int) -> Tensor:
        """The weighted loss of images made (N, 3, H, W) against the renders of some rows of the set.

        Scorer A sees them as it saw renders in its own training, a little changed, so that no pattern of its weights
        is learned instead of a face.
        """
        with autocast():
            with torch.no_grad():
                targets = self.perception.maps(wanted)
            found = self.perception.maps(made)
            read = self.scorer_a.logits(augmented(made, seed, step))
        pairs = zip(found, targets, strict=True)
        unlike = [(a.float() - b.float()).abs().mean() / (b.float().std() + 1e-3) for a, b in pairs]
        error = value_error(read.float(), self.values[rows])
        return FEATURE_SHARE * torch.stack(unlike).mean() + VALUE_SHARE * (error * self.weight).mean()


def value_error(logits: Tensor, values: Tensor) -> Tensor:
    """How wrong a scorer's logits (N, 35) are of values (N, 35): squared error; of binary ones, cross-entropy.

    Squares of a sigmoid have no slope where a scorer is sure and wrong, as of a pair of glasses that is not drawn.
    """
    binary = torch.tensor([attribute.kind == "binary" for attribute in attributes.ATTRIBUTES])
    entropy = functional.binary_cross_entropy_with_logits(logits, values, reduction="none")
    return torch.where(binary, ENTROPY_SHARE * entropy, (logits.sigmoid() - values).square())


def face_weight(resolution: int) -> Tensor:
    """How much each pixel matters (resolution, resolution), mean 1; most from eyes to mouth, whose place is fixed."""
    place = (torch.arange(resolution) + 0.5) / resolution - 0.5
    distance = (place[None, :].square() + (place[:, None] - 0.02).square()).sqrt()
    weight = 1 + FACE_WEIGHT * torch.sigmoid((0.3 - distance) / 0.03)
    return weight / weight.mean()


def fit_images(
    generator: Generator,
    w: Tensor,
    faces: Mixed,
    resolution: int,
    schedule: Schedule,
    folder: Path,
    say: Say,
    judges: Judges | None = None,
    name: str = "",
) -> None:
    """Regress the renders of w (N, 512) at one resolution; with `judges`, which need full size, what they see too.

    With judges the truth is also asked of early features, of the batch and of more w that need no picture.
    """
    generator.synthesis.train()
    weight = face_weight(resolution)
    modules: dict[str, torch.nn.Module] = {"synthesis": generator.synthesis}
    early = None
    if judges is not None:
        early = EarlyTruth(generator.synthesis)
        early.solve(generator, w)
        modules["early"] = early

    def loss_of(step: int) -> Tensor:
        rows = batch_of(schedule.seed, step, len(faces), schedule.batch)
        images, _ = faces.batch(rows)
        small = functional.avg_pool2d(images, images.shape[-1] // resolution)
        features: dict[int, Tensor] = {}
        with autocast():
            made = image_at(generator.synthesis, generator.mapping.broadcast(w[rows]), resolution, features)
        made = made.float()
        if judges is None or early is None:
            return pixel_loss(made, small)
        judged = judges.loss(made, small, rows, schedule.seed, step)
        known = early.loss(generator, w[rows], features, w[early.rows(schedule.seed, step, len(w))])
        detail = DETAIL_SHARE * detail_loss(made, small)
        return pixel_loss(made, small, weight, SQUARES) + detail + judged + EARLY_SHARE * known

    optimizer = MuonAndAdam(list(modules.values()), adam_scale=ADAM_SCALE, betas=(0.9, 0.99))
    start = sha256_of(generator.synthesis.state_dict().values())
    depends_on = {"faces": faces.sha256, "resolution": resolution, "start": start}
    train(name or f"images-{resolution}", modules, optimizer, loss_of, schedule, folder, depends_on, say)


@torch.no_grad()
def average_with(generator: Generator, parent: Generator) -> None:
    """Half the way back to the weights from which a further training began, in place; the buffers stay.

    What both trainings agree on stays, and where each errs by its own faces the errors partly cancel: Wortsman et al.,
    "Model soups", ICML 2022, here of a training and its parent.
    """
    for own, former in zip(generator.synthesis.parameters(), parent.synthesis.parameters(), strict=True):
        own.lerp_(former, OF_PARENT)


def finish(generator: Generator) -> None:
    """Set the average w that truncation draws towards, and freeze."""
    generator.mapping.measure_average_w(samples=50_000)
    generator.eval().requires_grad_(False)
