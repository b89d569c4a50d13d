"""Distilling the embedded generator: z -> factors is fixed, the picture of every z is a render."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.training.judges import autocast
from pipeline.domains.synthface.training.loop import Schedule, batch_of, train
from pipeline.domains.synthface.training.sets import Rendered
from pipeline.networks.perception import Perception
from stylegan.generator import Generator
from stylegan.sampling import draw_z
from stylegan.training import image_at, mapping_loss, pixel_loss, scale_w

CHANNELS = {4: 128, 8: 128, 16: 96, 32: 64, 64: 32}
MAPPING_RATE = 1.0  # Adam's, on weights that the mapping network multiplies by 0.01
JOINT_MAPPING_RATE = 0.05  # of the mapping network beside the synthesis network, relative to MAPPING_RATE
TARGET_SHARE = 0.02  # weight of the mapping's own loss while images are learned
FEATURE_SHARE = 0.15  # weight of the perception net's loss at full resolution

Say = Callable[[str], None]


def new_generator(seed: int) -> Generator:
    """The embedded architecture with seeded start values: 64 px, 512-d z and w."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Generator(resolution=max(CHANNELS), channels=CHANNELS)


def new_head(seed: int) -> nn.Linear:
    """What reads the half-way truth from w during training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        return nn.Linear(512, face_factors.N_FACTORS)


def targets_of(z: Tensor) -> Tensor:
    """What w must hold linearly: the normals half-way from z to the truth, (N, N_FACTORS).

    The rest of the way, which turns every normal by an angle that depends on others, is left to the synthesis
    network: a w that held the truth itself linearly would make linear methods perfect by construction.
    """
    return face_factors.truth_normals(z, rounds=face_factors.TRUTH_ROUNDS - 1).float()


def fit_mapping(generator: Generator, head: nn.Linear, schedule: Schedule, folder: Path, say: Say) -> None:
    """Fit the mapping network alone, on z that no later set uses; then scale w to a spread of one."""

    def loss_of(step: int) -> Tensor:
        rng = torch.Generator().manual_seed((schedule.seed << 32) + step)
        z = torch.randn(schedule.batch, 512, generator=rng)
        return mapping_loss(generator, head, z, targets_of(z))

    optimizer = torch.optim.Adam(
        [
            {"params": generator.mapping.parameters(), "scale": 1.0},
            {"params": head.parameters(), "scale": 0.002},
        ],
        betas=(0.9, 0.99),
    )
    train("mapping", {"mapping": generator.mapping, "head": head}, optimizer, loss_of, schedule, folder, say)
    scale_w(generator, head)


def fit_images(
    generator: Generator,
    head: nn.Linear,
    faces: Rendered,
    z_seed: int,
    resolution: int,
    schedule: Schedule,
    folder: Path,
    say: Say,
    perception: Perception | None = None,
) -> None:
    """Regress the renders at one resolution; with `perception`, its activations too (at full resolution)."""
    count = len(faces.images)

    def loss_of(step: int) -> Tensor:
        rows = batch_of(schedule.seed, step, count, schedule.batch)
        images, _ = faces.batch(rows)
        z = torch.from_numpy(draw_z(z_seed, rows))
        small = functional.avg_pool2d(images, images.shape[-1] // resolution)
        w = generator.map_to_w(z)
        with autocast():
            made = image_at(generator.synthesis, generator.mapping.broadcast(w), resolution)
        made = made.float()
        loss = pixel_loss(made, small) + TARGET_SHARE * functional.mse_loss(head(w), targets_of(z))
        if perception is not None:
            loss = loss + FEATURE_SHARE * _feature_loss(perception, made, small)
        return loss

    optimizer = torch.optim.Adam(
        [
            {"params": generator.synthesis.parameters(), "scale": 1.0},
            {"params": generator.mapping.parameters(), "scale": JOINT_MAPPING_RATE * MAPPING_RATE / schedule.rate},
            {"params": head.parameters(), "scale": 0.1},
        ],
        betas=(0.9, 0.99),
    )
    train(f"images-{resolution}", {"generator": generator, "head": head}, optimizer, loss_of, schedule, folder, say)


def _feature_loss(perception: Perception, made: Tensor, wanted: Tensor) -> Tensor:
    with autocast():
        with torch.no_grad():
            targets = perception.maps(wanted)
        found = perception.maps(made)
    pairs = zip(found, targets, strict=True)
    return torch.stack([(a.float() - b.float()).abs().mean() / (b.float().std() + 1e-3) for a, b in pairs]).mean()


def finish(generator: Generator) -> None:
    """Set the average w that truncation draws towards, and freeze."""
    generator.mapping.measure_average_w(samples=50_000)
    generator.eval().requires_grad_(False)
