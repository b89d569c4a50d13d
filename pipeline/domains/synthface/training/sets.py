"""Rendered training sets: factors, and their pictures as one memory-mapped array; resumable.

Four ways to draw faces, because what a judge must know is wider than what FFHQ shows:
- `generator`: factors = truth(w(z)), the world that the generator learns; FFHQ's statistics.
- `natural`: FFHQ's statistics, other faces.
- `broad`: each attribute is with probability .3 drawn evenly over its range, so that rare values are seen too.
- `identities`: `PER_PERSON` broad faces of each person: identity factors and gender fixed, age nearly.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.truth import make_mapping, truth_factors
from stylegan.generator import MappingNetwork
from stylegan.sampling import draw_z

PER_PERSON = 10
RENDER_BLOCK = 256
WORLD = 2  # raised when the renderer or the truth changes, so that no old picture is taken for a new one
KINDS = ("generator", "natural", "broad", "identities")
BROAD_SHARE = 0.3
# Even draws of the pose stay where a portrait is one: within 24, 12 and 54 degrees.
POSE_LIMITS = {"pitch": (0.2, 0.8), "roll": (0.3, 0.7), "yaw": (0.2, 0.8)}


@dataclass(frozen=True)
class RenderSet:
    """`count` faces of one kind; a face depends on (kind, seed, its id) alone."""

    kind: str
    seed: int
    count: int
    resolution: int = 64

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.kind}-{self.seed}-{self.count}-{self.resolution}-world{WORLD}"

    def factors(self, ids: np.ndarray) -> Tensor:
        """Factors (N, N_FACTORS) in [0, 1] of some of its faces."""
        if self.kind == "generator":
            return truth_factors(_mapping().map_to_w(torch.from_numpy(draw_z(self.seed, ids))))
        if self.kind == "natural":
            return face_factors.draw_factors(self.seed, ids.tolist())
        drawn = _broaden(face_factors.draw_factors(self.seed, ids.tolist()), self.seed, ids)
        return drawn if self.kind == "broad" else _personify(drawn, self.seed, ids)


@functools.cache
def _mapping() -> MappingNetwork:
    return make_mapping().requires_grad_(False)


def _broaden(drawn: Tensor, seed: int, ids: np.ndarray) -> Tensor:
    even = np.stack([np.random.default_rng([seed, 1, int(i)]).random((2, 35)) for i in ids])
    replaced, values = even[:, 0] < BROAD_SHARE, even[:, 1]
    for name, (low, high) in POSE_LIMITS.items():
        values[:, attributes.INDEX[name]] = low + (high - low) * values[:, attributes.INDEX[name]]
    for index, attribute in enumerate(attributes.ATTRIBUTES):
        if attribute.kind == "binary":
            values[:, index] = values[:, index] > 0.5
    broad = drawn.clone()
    broad[:, :35] = torch.where(torch.from_numpy(replaced), torch.from_numpy(values).float(), drawn[:, :35])
    reading, sun, any_kind = (attributes.INDEX[n] for n in ("reading_glasses", "sunglasses", "glasses"))
    broad[:, reading] *= 1 - broad[:, sun]
    broad[:, any_kind] = broad[:, [reading, sun, any_kind]].amax(dim=1)
    return broad


def _personify(drawn: Tensor, seed: int, ids: np.ndarray) -> Tensor:
    person = face_factors.draw_factors(seed + 1, (ids // PER_PERSON).tolist())
    fixed = [*face_factors.IDENTITY_INDEX, attributes.INDEX["gender"]]
    faces, age = drawn.clone(), attributes.INDEX["age"]
    faces[:, fixed] = person[:, fixed]
    faces[:, age] = (person[:, age] + 0.1 * (drawn[:, age] - 0.5)).clamp(0, 1)
    return faces


def _render_block(task: tuple[RenderSet, int]) -> tuple[int, np.ndarray, np.ndarray]:
    from pipeline.domains.synthface.renderer import render

    torch.set_num_threads(1)
    wanted, block = task
    ids = np.arange(block * RENDER_BLOCK, min(wanted.count, (block + 1) * RENDER_BLOCK))
    drawn = wanted.factors(ids)
    images = render(drawn, wanted.resolution).images
    return block, drawn.numpy(), ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


@dataclass(frozen=True)
class Rendered:
    """A set on disk: `images` (N, 3, H, W) uint8 and `factors` (N, N_FACTORS) float32, memory-mapped."""

    images: np.ndarray
    factors: np.ndarray

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Images (n, 3, H, W) float32 in [-1, 1] and factors (n, N_FACTORS) of some rows."""
        return torch.from_numpy(self.images[rows]).float().div_(127.5).sub_(1), torch.from_numpy(self.factors[rows])


def rendered(wanted: RenderSet, folder: Path, workers: int, say: Callable[[str], None] = print) -> Rendered:
    """The set, rendered where it is not yet; blocks that an interrupted call finished are kept."""
    if wanted.kind not in KINDS:
        raise ValueError(f"Unknown kind of set {wanted.kind!r}: expected one of {', '.join(KINDS)}.")
    folder.mkdir(parents=True, exist_ok=True)
    blocks = -(-wanted.count // RENDER_BLOCK)
    shape = (wanted.count, 3, wanted.resolution, wanted.resolution)
    images = _mapped(folder / f"{wanted.name}.images.npy", np.uint8, shape)
    drawn = _mapped(folder / f"{wanted.name}.factors.npy", np.float32, (wanted.count, face_factors.N_FACTORS))
    done = _mapped(folder / f"{wanted.name}.done.npy", np.uint8, (blocks,))
    missing = [(wanted, int(block)) for block in np.flatnonzero(done == 0)]
    if missing:
        started = last = time.monotonic()
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            for count, (block, block_factors, block_images) in enumerate(
                pool.imap_unordered(_render_block, missing), 1
            ):
                rows = slice(block * RENDER_BLOCK, block * RENDER_BLOCK + len(block_images))
                images[rows], drawn[rows] = block_images, block_factors
                done[block] = 1
                if (now := time.monotonic()) - last > 15 or count == len(missing):
                    rate = count * RENDER_BLOCK / (now - started)
                    left = (len(missing) - count) * RENDER_BLOCK / rate
                    say(f"{wanted.name}: {count * RENDER_BLOCK:,} rendered, {rate:.0f} images/s, {left:.0f} s left")
                    last = now
    return Rendered(images, drawn)


def _mapped(path: Path, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    if path.exists():
        return np.load(path, mmap_mode="r+")
    fresh = path.with_name(path.name + f".{os.getpid()}.tmp")
    open_memmap(fresh, mode="w+", dtype=kind, shape=shape)
    os.replace(fresh, path)
    return np.load(path, mmap_mode="r+")
