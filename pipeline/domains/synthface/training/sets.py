"""Rendered training sets: factors, and their pictures as one memory-mapped array; resumable.

Five ways to draw faces, because what a judge must know is wider than what FFHQ shows:
- `generator`: factors = truth(w(z)), the world that the generator learns; FFHQ's statistics.
- `rare`: faces of that world near an edge: the normal of one attribute of RARE, chosen by chance, is drawn around the
  place where it begins to show, and all else as it is among faces with that normal. So the generator sees often what
  few faces show, and learns where it begins.
- `natural`: FFHQ's statistics, other faces.
- `broad`: each attribute is with probability .3 drawn evenly over its range, so that rare values are seen too; with .1
  where it covers others, which nobody could read then. What excludes one another stays so: one emotion at a time, one
  leading hair colour over FFHQ's usual rest, facial hair on men.
- `identities`: `PER_PERSON` faces of each person: identity factors and gender fixed, age nearly; pose, emotion,
  glasses, hair and beard as in `broad`; all else (light, covers, blur, ...) drawn anew for every picture.
"""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface import copula
from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.truth import make_mapping, truth_factors, w_of_truth
from pipeline.storage.files import replacing
from pipeline.storage.fingerprint import bytes_sha256
from stylegan.mapping import MappingNetwork
from stylegan.sampling import draw_z

PER_PERSON = 10
RENDER_BLOCK = 256
# Kinds, and the version of each one's pictures: raised for all when the renderer or the truth changes, for one when its
# rule does, so that no old picture is taken for a new one.
KINDS = {"generator": 3, "rare": 4, "natural": 3, "broad": 4, "identities": 4}
BROAD_SHARE = 0.3  # of faces of which an attribute is drawn evenly
COVER_SHARE = 0.1  # the same of COVERS
COVERS = ("sunglasses", "headwear", "forehead_occluded", "eye_occluded", "mouth_occluded")
GROUP_SHARE = 0.5  # of faces whose emotion, or hair colour, is
EDGE_SPREAD = 0.5  # standard deviation of the normal of a rare face around its edge, where a set names no other
# The value at which an attribute begins to show.
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
    "reading_glasses": 0.5,
    "sunglasses": 0.5,
    "headwear": 0.5,
    "forehead_occluded": 0.5,
    "eye_makeup": 0.5,
    "lip_makeup": 0.5,
    "gender": 0.5,
    "smile": 0.5,
    "baldness": 0.5,
    "beard": 0.5,
    "moustache": 0.5,
    "sideburns": 0.5,
}
OFTENER = {"eye_occluded": 3, "mouth_occluded": 3}  # how much likelier one is drawn than the others
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

DrawGroup = Callable[[np.random.Generator, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class RenderSet:
    """`count` faces of one kind; a face depends on (kind, seed, its id) alone, a rare one on `of` and `spread` too.

    of: the attributes of RARE whose edges are drawn, all equally often; none named: all, by OFTENER.
    spread: standard deviation of the normal of a rare face around its edge.
    """

    kind: str
    seed: int
    count: int
    resolution: int = 64
    of: tuple[str, ...] = ()
    spread: float = EDGE_SPREAD

    @property
    def name(self) -> str:
        """Name of its files."""
        kind = "-".join((self.kind, *self.of, *((f"{self.spread:g}",) if self.spread != EDGE_SPREAD else ())))
        return f"{kind}-{self.seed}-{self.count}-{self.resolution}-world{KINDS[self.kind]}"

    def factors(self, ids: np.ndarray) -> Tensor:
        """Factors (N, N_FACTORS) in [0, 1] of some of its faces."""
        if self.kind in ("generator", "rare"):
            return truth_factors(self.w(ids))
        if self.kind == "natural":
            return face_factors.draw_factors(self.seed, ids.tolist())
        drawn = face_factors.draw_factors(self.seed, ids.tolist())
        broad = _broaden(drawn, self.seed, ids)
        return broad if self.kind == "broad" else _personify(drawn, broad, self.seed, ids)

    def w(self, ids: np.ndarray) -> Tensor:
        """w (N, 512) of some of its faces; raises ValueError for a kind that is not of the generator's world."""
        if self.kind == "generator":
            return _mapping().map_to_w(torch.from_numpy(draw_z(self.seed, ids)))
        if self.kind == "rare":
            return w_of_truth(_near_edges(self.seed, ids, self.of, self.spread))
        raise ValueError(f"Faces of kind {self.kind!r} have no w.")


@functools.cache
def _mapping() -> MappingNetwork:
    return make_mapping().requires_grad_(False)


def _edge(name: str) -> float:
    """Where in its normal an attribute of RARE begins to show."""
    at, to = copula.quantile_knots(name)
    return float(torch.special.ndtri(torch.tensor(np.interp(RARE[name], to, at), dtype=torch.float64)))


def _near_edges(seed: int, ids: np.ndarray, of: tuple[str, ...], spread: float) -> Tensor:
    """Normals of the truth (N, N_FACTORS), float64: standard, but that of one attribute is near its edge."""
    names = of or tuple(RARE)
    weight = np.array([1 if of else OFTENER.get(name, 1) for name in names], dtype=np.float64)
    rows = copula.cholesky().numpy()[[attributes.INDEX[name] for name in names]]
    edges, normals = [_edge(name) for name in names], np.empty((len(ids), face_factors.N_FACTORS))
    for place, i in enumerate(ids):
        stream = np.random.default_rng([seed, 4, int(i)])
        chosen = stream.choice(len(names), p=weight / weight.sum())
        wanted = edges[chosen] + spread * stream.standard_normal()
        normals[place] = stream.standard_normal(face_factors.N_FACTORS)
        # The attribute's own normal is row @ normals, and |row| = 1: this is the exact conditional distribution.
        row, own = rows[chosen], normals[place, : face_factors.N_ATTRIBUTES]
        own += (wanted - row @ own) * row
    return torch.from_numpy(normals)


def _broaden(drawn: Tensor, seed: int, ids: np.ndarray) -> Tensor:
    even = np.stack([np.random.default_rng([seed, 1, int(i)]).random((2, 35)) for i in ids])
    share = np.array([COVER_SHARE if name in COVERS else BROAD_SHARE for name in attributes.NAMES])
    replaced, values = even[:, 0] < share, even[:, 1]
    for name, (low, high) in POSE_LIMITS.items():
        values[:, attributes.INDEX[name]] = low + (high - low) * values[:, attributes.INDEX[name]]
    for index, attribute in enumerate(attributes.ATTRIBUTES):
        if attribute.kind == "binary":
            values[:, index] = values[:, index] > 0.5
    broad = drawn.clone()
    broad[:, :35] = torch.where(torch.from_numpy(replaced), torch.from_numpy(values).float(), drawn[:, :35])
    groups: tuple[tuple[tuple[str, ...], DrawGroup], ...] = (
        (("smile", "neutral", *EMOTIONS), _one_emotion),
        (HAIR_COLOURS, _one_hair_colour),
    )
    for place, (names, draw) in enumerate(groups):
        columns = [attributes.INDEX[name] for name in names]
        natural, streams = drawn[:, columns], [np.random.default_rng([seed, 2 + place, int(i)]) for i in ids]
        redrawn = np.array([stream.random() for stream in streams]) < GROUP_SHARE
        group = np.stack([draw(stream, face) for stream, face in zip(streams, natural.numpy(), strict=True)])
        broad[:, columns] = torch.where(torch.from_numpy(redrawn)[:, None], torch.from_numpy(group).float(), natural)
    _only_on_men(broad, drawn)
    reading, sun, any_kind = (attributes.INDEX[n] for n in ("reading_glasses", "sunglasses", "glasses"))
    broad[:, reading] *= 1 - broad[:, sun]
    broad[:, any_kind] = broad[:, [reading, sun, any_kind]].amax(dim=1)
    return broad


def _one_emotion(stream: np.random.Generator, natural: np.ndarray) -> np.ndarray:
    """(smile, neutral, *EMOTIONS): one of happiness and the emotions at an even strength, the rest of it neutral."""
    values, chosen, strength = np.zeros_like(natural), stream.integers(0, 1 + len(EMOTIONS)), stream.random()
    values[0 if chosen == 0 else 1 + chosen] = strength
    values[1] = 1 - strength
    return values


def _one_hair_colour(stream: np.random.Generator, natural: np.ndarray) -> np.ndarray:
    """HAIR_COLOURS: any of them is equally likely to lead; it changes places with the one that did."""
    led, chosen, values = int(natural.argmax()), int(stream.integers(0, len(natural))), natural.copy()
    values[led], values[chosen] = natural[chosen], natural[led]
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
class RenderedSet:
    """A set on disk: `images` (N, 3, H, W) uint8 and `factors` (N, N_FACTORS) float32, memory-mapped."""

    images: np.ndarray
    factors: np.ndarray

    @property
    def sha256(self) -> str:
        """sha256 over the factors, which decide the images."""
        return bytes_sha256(np.ascontiguousarray(self.factors).tobytes())

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Images (n, 3, H, W) float32 in [-1, 1] and factors (n, N_FACTORS) of some rows."""
        return torch.from_numpy(self.images[rows]).float().div_(127.5).sub_(1), torch.from_numpy(self.factors[rows])


def rendered(wanted: RenderSet, folder: Path, workers: int, say: Callable[[str], None] = print) -> RenderedSet:
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
    return RenderedSet(images, drawn)


def _mapped(path: Path, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    if path.exists():
        return np.load(path, mmap_mode="r+")
    with replacing(path) as temporary:
        open_memmap(temporary, mode="w+", dtype=kind, shape=shape)
    return np.load(path, mmap_mode="r+")
