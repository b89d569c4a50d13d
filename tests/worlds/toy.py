"""A domain whose truth is known: attributes are linear in w, and every network can read them off the image.

w lies in 64 of 512 dimensions (`BASIS`). The picture of a face is w itself, read layer by layer: pixel k of an image
is coordinate k of the mean over the layers, divided by `CONTRAST`. Attribute j is the logistic function of
`STEEPNESS` times w's coordinate along `DIRECTIONS[j]`; the directions are unit vectors, the first two pairs of them
correlated. Recognition looks at the 29 coordinates that no attribute uses. The detector loses a face as soon as
||w|| exceeds `RADIUS`, or, if `lost_beyond` is set, as soon as its coordinate along a direction exceeds a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.attributes import NAMES
from pipeline.domains.base import Domain, DomainCard
from pipeline.methods.interface import Faces, FitData
from pipeline.networks.detector import Detection
from pipeline.settings.experiment import Experiment
from pipeline.storage.fingerprint import digest
from stylegan.generator import AffineWeight
from tests.builders import experiments

W_DIM, LAYERS, SIZE, USED = 512, 6, 16, 64
WIDTH, CLASSES = 16, 4
CONTRAST, STEEPNESS, RADIUS = 8.0, 1.5, 12.0
MEAN_DISTANCE = math.sqrt(2 * USED)
ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "detector")


def _orthonormal(rows: int) -> Tensor:
    drawn = np.random.default_rng(7).standard_normal((W_DIM, rows))
    return torch.from_numpy(np.linalg.qr(drawn)[0].T.astype(np.float32)).contiguous()


def _directions() -> Tensor:
    rows = BASIS[: len(NAMES)].clone()
    rows[0] = 0.8 * rows[0] + 0.6 * rows[1]
    rows[2] = 0.8 * rows[2] - 0.6 * rows[3]
    return rows


BASIS = _orthonormal(USED)
DIRECTIONS = _directions()  # (35, 512), unit rows
IDENTITY = BASIS[len(NAMES) :]


class Mapping(nn.Module):
    """z -> w: the first 64 coordinates of z along the basis."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w_avg", torch.zeros(W_DIM))

    def map_to_w(self, z: Tensor) -> Tensor:
        return z[:, :USED] @ BASIS.to(z)

    def broadcast(self, w: Tensor, *, truncation_psi: float = 1.0, truncation_cutoff: int | None = None) -> Tensor:
        return (w * truncation_psi)[:, None].expand(-1, LAYERS, -1).contiguous()

    def forward(self, z: Tensor, **options: Any) -> Tensor:
        return self.broadcast(self.map_to_w(z), **options)


class Synthesis(nn.Module):
    """ws -> images (N, 3, 16, 16) that hold the mean code; the third channel repeats the first."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0 / CONTRAST))
        self.block_names = ["b4", "b8", "b16"]
        self.half_type: torch.dtype | None = None

    def features(self, ws: Tensor, layer: str) -> Tensor:
        """Maps (N, 2, 16, 16) of the mean code of the layers up to a block."""
        seen = 2 * self.block_names.index(layer) + 1
        return (ws[:, :seen].mean(dim=1) * self.gain).reshape(-1, 2, SIZE, SIZE)

    def forward(self, ws: Tensor, *, noise: str = "const") -> Tensor:
        pixels = (ws.mean(dim=1) * self.gain).reshape(-1, 2, SIZE, SIZE)
        return torch.cat([pixels, pixels[:, :1]], dim=1)


class Generator(nn.Module):
    """The interface of `stylegan.generator.Generator`."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping, self.synthesis = Mapping(), Synthesis()
        self.resolution, self.num_ws, self.z_dim, self.w_dim = SIZE, LAYERS, W_DIM, W_DIM

    def map_to_w(self, z: Tensor) -> Tensor:
        return self.mapping.map_to_w(z)

    def affine_weights(self) -> list[AffineWeight]:
        """Every layer answers to BASIS[0] the most, then to BASIS[1], ...: so many of its channels read it."""
        repeats = torch.arange(len(NAMES), 0, -1)
        weight = BASIS[: len(NAMES)].repeat_interleave(repeats, dim=0)
        return [AffineWeight(f"conv{layer}", layer, weight) for layer in range(LAYERS)]

    def forward(self, z: Tensor, **options: Any) -> Tensor:
        return self.synthesis(self.mapping(z, **options))


def code_of(images: Tensor) -> Tensor:
    """The mean code (N, 512) of images."""
    return images[:, :2].flatten(1) * CONTRAST


class Scorer(nn.Module):
    """Recovers the attributes exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(DIRECTIONS.T.clone())

    def logits(self, images: Tensor) -> Tensor:
        return STEEPNESS * code_of(images) @ self.matrix

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images).sigmoid()


class Recognizer(nn.Module):
    """The coordinates that no attribute uses, to unit norm."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(IDENTITY.T.clone())

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.normalize(code_of(images) @ self.matrix, dim=1)


class Perception(nn.Module):
    """Sixteen pixel averages as features, four as logits."""

    map_channels = (3, 3, 3, 3, 3)

    def features(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images, 4).mean(dim=1).flatten(1)

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return features, features[:, :CLASSES]

    def logits(self, images: Tensor) -> Tensor:
        return self.both(images)[1]

    def maps(self, images: Tensor) -> list[Tensor]:
        return [nn.functional.avg_pool2d(images, size) for size in (1, 2, 4, 8, 16)]


@dataclass
class Detector:
    """Loses the face beyond a radius of w, or beyond a coordinate along a direction. `seen` counts images."""

    radius: float = RADIUS
    direction: Tensor | None = None
    lost_beyond: float = math.inf
    seen: int = 0

    def detect(self, images: Tensor, *, threshold: float = 0.9) -> Detection:
        self.seen += len(images)
        code = code_of(images)
        found = code.norm(dim=1) <= self.radius
        if self.direction is not None:
            found = found & (code @ self.direction.to(code) <= self.lost_beyond)
        box = torch.tensor([0.0, 0.0, SIZE, SIZE]).repeat(len(images), 1)
        return Detection(found, torch.where(found, 0.99, 0.1), box)

    def identity_features(self, images: Tensor, boxes: Tensor) -> Tensor:
        return code_of(images) @ IDENTITY.T.to(images)


def describe() -> DomainCard:
    networks = {role: f"toy-{role}" for role in ROLES} | {"mtcnn": "toy-features"}
    return DomainCard("toy", "for tests", SIZE, WIDTH, CLASSES, {role: digest(role) for role in ROLES}, networks)


def load(device: torch.device | str = "cpu", detector: Detector | None = None) -> Domain:
    """The toy domain; its networks are in evaluation mode and frozen, as a real one's."""
    networks: dict[str, Any] = {
        "generator": Generator(),
        "scorer_a": Scorer(),
        "scorer_b": Scorer(),
        "recognizer_a": Recognizer(),
        "recognizer_b": Recognizer(),
        "perception": Perception(),
    }
    for network in networks.values():
        network.eval().requires_grad_(False)
    return Domain(
        describe(),
        torch.device(device),
        **networks,
        detector=detector or Detector(),  # type: ignore[arg-type]
        mean_distance=MEAN_DISTANCE,
    )


def draw_w(count: int, seed: int = 0) -> Tensor:
    """Codes (count, 512)."""
    return Mapping().map_to_w(torch.randn(count, W_DIM, generator=torch.Generator().manual_seed(seed)))


def values_of(w: Tensor) -> Tensor:
    """True values (N, 35) of codes (N, 512)."""
    return torch.sigmoid(STEEPNESS * w @ DIRECTIONS.T)


def z_at(places: Any, count: int = 1000, seed: int = 0) -> np.ndarray:
    """z (M, 512) behind `draw_w(count, seed)[places]`."""
    return torch.randn(count, W_DIM, generator=torch.Generator().manual_seed(seed))[places].numpy()


def faces(count: int, seed: int = 99) -> Faces:
    """Faces to edit, with all that a method may know of them."""
    w, mapping = draw_w(count, seed), load().generator.mapping
    z = torch.from_numpy(z_at(range(count), count, seed))
    return Faces(mapping.broadcast(w), values_of(w), z, mapping)


def fit_data(count: int = 1000, *, seed: int = 5, **changes: Any) -> FitData:
    """What a method learns the toy from."""
    domain, w = load(), draw_w(count)
    return FitData(
        **{
            "w": w,
            "values": values_of(w),
            "generator": domain.generator,
            "scorer_a": domain.scorer_a,
            "recognizer_a": domain.recognizer_a,
            "seed": seed,
            "device": torch.device("cpu"),
            "draw_z": lambda places: z_at(places, count),
            "naming_w": draw_w(32, seed=77),
            "mean_distance": MEAN_DISTANCE,
            **changes,
        }
    )


def experiment(**changes: Any) -> Experiment:
    """A small experiment."""
    settings: dict[str, Any] = {
        "profile": "test",
        "seed": 5,
        "attributes": ("age", "yaw"),
        "n_latents": 512,
        "n_faces": 8,
        "n_steps": 5,
        "n_reference": 64,
        "n_timings": 2,
        "bisections": 8,
        "bootstrap_samples": 10,
        "kid_subsets": 2,
        "kid_subset_size": 8,
        "inception_score_splits": 2,
        "first_face_id": 1024,
        "first_reference_id": 4096,
    }
    return experiments.experiment(**(settings | changes))
