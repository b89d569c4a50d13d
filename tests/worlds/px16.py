"""A domain whose edits can be measured: a real generator of 16 px, judged by linear maps and a small perception net."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.chain.links import Chain
from pipeline.domains.base import Domain, DomainCard
from pipeline.networks.detector import Detection
from pipeline.networks.perception import Perception
from pipeline.networks.truth_reader import Reader
from pipeline.settings.settings import Settings
from pipeline.storage.fingerprint import digest
from stylegan.generator import Generator
from tests.builders.chains import compute
from tests.builders.counting_stage import experiment
from tests.builders.counting_stage import settings as shard_settings

NAME = "scenes"
SIZE, WIDTH, CLASSES = 16, 12, 4
ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "detector", "reader")


def describe() -> DomainCard:
    networks = {role: f"scenes-{role}" for role in ROLES} | {"mtcnn": "scenes-onet"}
    return DomainCard(NAME, "for tests", SIZE, WIDTH, CLASSES, {role: digest(role) for role in ROLES}, networks)


class Map(nn.Module):
    """Pixels -> outputs, linear; in [0, 1] or of unit norm."""

    def __init__(self, outputs: int, seed: int, *, unit_norm: bool = False) -> None:
        super().__init__()
        self.matrix = torch.randn(3 * SIZE**2, outputs, generator=torch.Generator().manual_seed(seed)) / 20
        self.unit_norm = unit_norm

    def forward(self, images: Tensor) -> Tensor:
        found = images.flatten(1) @ self.matrix
        return nn.functional.normalize(found, dim=1) if self.unit_norm else torch.sigmoid(found)


class Finder:
    """Finds a face where the mean red is not too low; the box is the middle of the image."""

    def __init__(self) -> None:
        self.map = Map(8, 6)

    def detect(self, images: Tensor, *, threshold: float = 0.9) -> Detection:
        probability = torch.sigmoid(3 + images[:, 0].mean(dim=(1, 2)) * 2)
        found = probability >= threshold
        box = torch.tensor([4.0, 4.0, 12.0, 12.0]).repeat(len(images), 1)
        box[~found] = torch.tensor([0.0, 0.0, SIZE, SIZE])
        return Detection(found, probability, box)

    def identity_features(self, images: Tensor, boxes: Tensor) -> Tensor:
        return self.map(images) - 0.5


def load(device: torch.device) -> Domain:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        generator = Generator(resolution=SIZE, channels={4: 8, 8: 8, 16: 8}, mapping_layers=2)
        perception = Perception(WIDTH, CLASSES)
        reader = Reader("residual", 4, 5, [0, 2, 3])
    for name, value in {"spread": 0.01, "weight": 0.8, "scale": 2.0, "error": 0.35}.items():
        getattr(reader, name).fill_(value)
    maps: dict[str, Any] = {
        "scorer_a": Map(35, 1),
        "scorer_b": Map(35, 2),
        "recognizer_a": Map(6, 3, unit_norm=True),
        "recognizer_b": Map(6, 4, unit_norm=True),
        "detector": Finder(),
    }
    networks = {"generator": generator, "perception": perception, "reader": reader}
    for network in networks.values():
        network.eval().requires_grad_(False)
    return Domain(describe(), device, **networks, **maps, mean_distance=2.0, parts=half_of_the_picture)


def half_of_the_picture(w: torch.Tensor, attribute: str) -> torch.Tensor:
    """Where an attribute is: age on the left, every other below."""
    within = torch.zeros(len(w), describe().resolution, describe().resolution, dtype=torch.bool)
    if attribute == "age":
        within[:, :, : describe().resolution // 2] = True
    else:
        within[:, describe().resolution // 2 :] = True
    return within


def scene_settings(outputs: Path, methods: tuple[str, ...] = ("noop", "random"), **machine: Any) -> Settings:
    """Six faces, five steps, two attributes."""
    found = shard_settings(outputs, **machine)
    sizes = experiment(
        n_faces=6,
        n_steps=5,
        n_latents=256,
        n_reference=300,
        n_timings=6,
        kid_subset_size=20,
        n_spread=100,
        n_matched_faces=6,
        matched_levels=(0.05, 0.1, 0.2, 0.4),  # random directions of a generator at random do little
        matched_tolerance=0.01,
    )
    return replace(found, domain=NAME, experiment=sizes, methods=tuple((name, ()) for name in methods))


def run_to_edits(settings: Settings) -> None:
    """Everything that scores read."""
    for which in ("train", "faces", "reference"):
        compute(settings, "latents", which)
    for which in ("train", "faces"):
        compute(settings, "labels", which)
    compute(settings, "reference", "reference")
    compute(settings, "reference", "faces")
    for method in settings.method_names:
        compute(settings, "train", method)
        Chain(settings).calibrate_all(method, settings.experiment.attributes)
        compute(settings, "edits", method)
        compute(settings, "timing", method)
        compute(settings, "gallery", method)
