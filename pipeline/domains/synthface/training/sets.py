"""Rendered training sets: factors, and their pictures as one memory-mapped array; resumable.

Five ways to draw faces, because what a judge must know is wider than what FFHQ shows:
- `generator`: factors = truth(w(z)), the world that the generator learns; FFHQ's statistics.
- `rare`: those of such faces that show what few do (RARE), so that the generator learns to draw it.
- `natural`: FFHQ's statistics, other faces.
- `broad`: each attribute is with probability .3 drawn evenly over its range, so that rare values are seen too. What
  excludes one another stays so: one emotion at a time, one leading hair colour, facial hair on men.
- `identities`: `PER_PERSON` faces of each person: identity factors and gender fixed, age nearly; pose, emotion,
  glasses, hair and beard as in `broad`; all else (light, covers, blur, ...) drawn anew for every picture.
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
WORLD = 3  # raised when the renderer or the truth changes, so that no old picture is taken for a new one
KINDS = ("generator", "rare", "natural", "broad", "identities")
BROAD_SHARE = 0.3  # of faces of which an attribute is drawn evenly
GROUP_SHARE = 0.5  # of faces whose emotion, or hair colour, is
POOL_BLOCK = 4096  # z that are looked through at once for rare faces
# A face is rare from this value of one of these on.
RARE = {
    "eye_occluded": 0.5,
    "mouth_occluded": 0.5,
    "anger": 0.15,
    "contempt": 0.15,
    "disgust": 0.1,
    "fear": 0.05,
    "sadness": 0.5,
    "surprise": 0.5,
    "blur": 0.75,
    "noise": 0.85,
}
EMOTIONS = ("anger", "contempt", "disgust", "fear", "sadness", "surprise")
HAIR_COLOURS = tuple(f"hair_{colour}" for colour in ("brown", "blond", "black", "red", "grey", "other"))
FACIAL_HAIR = ("moustache", "beard", "sideburns")
# What differs broadly between pictures of one person.
CHANGING = (
    *("pitch", "roll", "yaw", "smile", "neutral", "baldness", "reading_glasses", "sunglasses", "glasses"),
    *EMOTIONS,
    *HAIR_COLOURS,
    *FACIAL_HAIR,
)
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
        if self.kind in ("generator", "rare"):
            return truth_factors(_mapping().map_to_w(torch.from_numpy(draw_z(self.seed, self.z_ids(ids)))))
        if self.kind == "natural":
            return face_factors.draw_factors(self.seed, ids.tolist())
        drawn = face_factors.draw_factors(self.seed, ids.tolist())
        broad = _broaden(drawn, self.seed, ids)
        return broad if self.kind == "broad" else _personify(drawn, broad, self.seed, ids)

    def z_ids(self, ids: np.ndarray) -> np.ndarray:
        """Which z of its seed some faces come from: those of their ids, but for `rare` the ids-th rare ones."""
        return _rare_ids(self.seed, self.count)[ids] if self.kind == "rare" else ids


@functools.cache
def _mapping() -> MappingNetwork:
    return make_mapping().requires_grad_(False)


@functools.lru_cache(maxsize=4)
def _rare_ids(seed: int, count: int) -> np.ndarray:
    """The first `count` ids, (count,) int64 and rising, whose z gives a rare face."""
    least = torch.tensor(list(RARE.values()))
    columns, found, start = [attributes.INDEX[name] for name in RARE], np.empty(0, dtype=np.int64), 0
    while len(found) < count:
        ids = np.arange(start, start + POOL_BLOCK)
        drawn = truth_factors(_mapping().map_to_w(torch.from_numpy(draw_z(seed, ids))))
        found = np.concatenate([found, ids[(drawn[:, columns] >= least).any(dim=1).numpy()]])
        start += POOL_BLOCK
    return found[:count]


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
    for place, draw in enumerate((_one_emotion, _one_hair_colour)):
        names = (("smile", "neutral", *EMOTIONS), HAIR_COLOURS)[place]
        streams = [np.random.default_rng([seed, 2 + place, int(i)]) for i in ids]
        redrawn = np.array([stream.random() for stream in streams]) < GROUP_SHARE
        group = torch.from_numpy(np.stack([draw(stream) for stream in streams])).float()
        columns = [attributes.INDEX[name] for name in names]
        broad[:, columns] = torch.where(torch.from_numpy(redrawn)[:, None], group, drawn[:, columns])
    _only_on_men(broad, drawn)
    reading, sun, any_kind = (attributes.INDEX[n] for n in ("reading_glasses", "sunglasses", "glasses"))
    broad[:, reading] *= 1 - broad[:, sun]
    broad[:, any_kind] = broad[:, [reading, sun, any_kind]].amax(dim=1)
    return broad


def _one_emotion(stream: np.random.Generator) -> np.ndarray:
    """(smile, neutral, *EMOTIONS): one of happiness and the emotions at an even strength, the rest of it neutral."""
    values, chosen, strength = np.zeros(2 + len(EMOTIONS)), stream.integers(0, 1 + len(EMOTIONS)), stream.random()
    values[0 if chosen == 0 else 1 + chosen] = strength
    values[1] = 1 - strength
    return values


def _one_hair_colour(stream: np.random.Generator) -> np.ndarray:
    """HAIR_COLOURS: one leads with .6 to 1, the others have up to that, mostly little."""
    values = stream.random(len(HAIR_COLOURS)) ** 2
    chosen = stream.integers(0, len(HAIR_COLOURS))
    lead = 0.6 + 0.4 * stream.random()
    values = values * lead
    values[chosen] = lead
    return values


def _only_on_men(faces: Tensor, drawn: Tensor) -> None:
    """Facial hair of women falls back to what FFHQ's statistics drew, in place."""
    hair = [attributes.INDEX[name] for name in FACIAL_HAIR]
    man = faces[:, attributes.INDEX["gender"]] > 0.5
    faces[:, hair] = torch.where(man[:, None], faces[:, hair], drawn[:, hair])


def _personify(drawn: Tensor, broad: Tensor, seed: int, ids: np.ndarray) -> Tensor:
    person = face_factors.draw_factors(seed + 1, (ids // PER_PERSON).tolist())
    fixed = [*face_factors.IDENTITY_INDEX, attributes.INDEX["gender"]]
    faces, age = drawn.clone(), attributes.INDEX["age"]
    changing = [attributes.INDEX[name] for name in CHANGING]
    faces[:, changing] = broad[:, changing]
    faces[:, fixed] = person[:, fixed]
    _only_on_men(faces, drawn)
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
