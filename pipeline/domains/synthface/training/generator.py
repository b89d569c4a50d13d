"""Distillation of synthface's generator: the truth, and so the picture, of every w is known."""

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
FACE_WEIGHT = 1.0  # additional weight of pixels from eyes to mouth, at full resolution
VALUE_SHARE = 0.3  # weight of the error of scorer A's values, at full resolution
ENTROPY_SHARE = 0.25  # weight of the cross-entropy of binary values; squared errors have 1
SQUARES = 8.0  # weight of squared errors, at full resolution: a missing part costs more than softness everywhere
ADAM_SCALE = 0.08  # learning rate of biases, constants and toRGB, relative to the kernels'
FEATURE_SHARE = 0.15  # weight of the perception net's activations, at full resolution
DETAIL_SHARE = 20.0  # weight of the strength of detail, at full resolution
OF_PARENT = 0.5  # share of the parent's weights in the average after a further training
EARLY_SHARE = 10.0  # weight of the truth read from early features, at full resolution

Say = Callable[[str], None]


def new_generator(seed: int) -> Generator:
    """A generator of 64 px: the constructed mapping network, and a synthesis network with seeded initial weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = Generator(resolution=max(CHANNELS), channels=CHANNELS)
    generator.mapping.load_state_dict(make_mapping().state_dict())
    generator.mapping.requires_grad_(False)
    set_grain(generator)
    return generator


def set_grain(generator: Generator) -> None:
    """Set the last block's constant noise to the camera's grain, so that it can imitate the noise of renders."""
    for layer in ("conv0", "conv1"):
        noise = generator.synthesis.get_submodule(f"b{generator.resolution}.{layer}").get_buffer("noise_const")
        noise.copy_(grain(generator.resolution)[0, 0])


@torch.no_grad()
def all_w(sets: list[RenderSet]) -> Tensor:
    """w (N, 512) of the faces of several sets, in order."""
    parts = []
    for render_set in sets:
        for ids in np.array_split(np.arange(render_set.count), max(1, render_set.count // 4096)):
            parts.append(render_set.w(ids))
    return torch.cat(parts)


class Judges:
    """The losses on full-size images in addition to pixels: perception activations, and the values of scorer A.

    Scorer B is not used, so that it can measure the result.
    """

    def __init__(self, perception: Perception, scorer_a: Scorer, faces: Mixed) -> None:
        self.perception, self.scorer_a = perception, scorer_a
        self.values = faces.values
        self.weight = attribute_weight() / self.values.var(dim=0).clamp(min=SMALLEST_VARIANCE)

    def loss(self, made: Tensor, wanted: Tensor, rows: np.ndarray, seed: int, step: int) -> Tensor:
        """The weighted loss of images `made` (N, 3, H, W) against the renders of some rows of the set.

        Scorer A sees augmented images, as in its training, so that the generator does not learn to exploit its weights.
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
    """The errors (N, 35) of a scorer's logits against values: squared error, and cross-entropy for binary attributes.

    The squared error of a sigmoid has no gradient if a scorer is certain and wrong, as for glasses that are not drawn.
    """
    binary = torch.tensor([attribute.kind == "binary" for attribute in attributes.ATTRIBUTES])
    entropy = functional.binary_cross_entropy_with_logits(logits, values, reduction="none")
    return torch.where(binary, ENTROPY_SHARE * entropy, (logits.sigmoid() - values).square())


def face_weight(resolution: int) -> Tensor:
    """The weight of each pixel (resolution, resolution), with mean 1; largest from eyes to mouth."""
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
    """Regress the renders of w (N, 512) at one resolution; `judges`, for full size only, add their losses.

    With `judges`, the loss of `EarlyTruth` is added too, for the batch and for more w that need no picture.
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
    """Average a further training's weights with the weights it started from, in place; buffers are unchanged.

    Errors of the two that depend on their training faces partly cancel: Wortsman et al., "Model soups", ICML 2022, here
    with a training and its parent.
    """
    for own, former in zip(generator.synthesis.parameters(), parent.synthesis.parameters(), strict=True):
        own.lerp_(former, OF_PARENT)


def finish(generator: Generator) -> None:
    """Measure the average w, which truncation needs, and freeze the generator."""
    generator.mapping.measure_average_w(samples=50_000)
    generator.eval().requires_grad_(False)
