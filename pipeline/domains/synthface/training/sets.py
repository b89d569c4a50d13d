"""Rendered training sets: factors, and their pictures as one memory-mapped array; resumable.

There are five kinds of sets, because judges need a wider distribution than FFHQ's:
- `generator`: factors = truth(w(z)), the distribution that the generator learns; FFHQ's statistics.
- `rare`: faces of that distribution near an edge. The normal of a random attribute of RARE is drawn around the value
  at which the attribute begins to show; everything else is drawn conditionally on it. So the generator often sees rare
  attributes, and learns where they begin.
- `natural`: FFHQ's statistics, other faces.
- `broad`: each attribute is drawn uniformly over its range with probability .3, so that rare values occur; with .1 if
  it covers other attributes, which could not be read then. Exclusions are kept: one emotion at a time, one leading hair
  colour with FFHQ's usual rest, facial hair on men.
- `identities`: `PER_PERSON` faces of each person: identity factors and gender fixed, age nearly fixed; pose, emotion,
  glasses, hair and beard as in `broad`; everything else (light, covers, blur, ...) drawn again for every picture.
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
from pipeline.domains.synthface.marginals import quantile_knots
from pipeline.domains.synthface.truth import make_mapping, truth_factors, w_of_truth
from pipeline.storage.files import replacing
from pipeline.storage.fingerprint import bytes_sha256
from stylegan.mapping import MappingNetwork
from stylegan.sampling import draw_z

PER_PERSON = 10
RENDER_BLOCK = 256
# Kind -> version of its pictures. Raise all when the renderer or the truth changes, and one when its rule changes, so
# that no old picture is reused.
KINDS = {"generator": 3, "rare": 4, "natural": 3, "broad": 4, "identities": 4}
BROAD_SHARE = 0.3  # probability that an attribute is drawn uniformly
COVER_SHARE = 0.1  # the same probability for COVERS
COVERS = ("sunglasses", "headwear", "forehead_occluded", "eye_occluded", "mouth_occluded")
GROUP_SHARE = 0.5  # the same probability for the emotions, and for the hair colours
EDGE_SPREAD = 0.5  # default standard deviation of a rare face's normal around its edge
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
OFTENER = {"eye_occluded": 3, "mouth_occluded": 3}  # relative frequency of an attribute of RARE; others have 1
EMOTIONS = ("anger", "contempt", "disgust", "fear", "sadness", "surprise")
HAIR_COLOURS = tuple(f"hair_{colour}" for colour in ("brown", "blond", "black", "red", "grey", "other"))
FACIAL_HAIR = ("moustache", "beard", "sideburns")
# Attributes that are drawn as in `broad` for every picture of a person.
CHANGING = (
    *("pitch", "roll", "yaw", "smile", "neutral", "baldness", "reading_glasses", "sunglasses", "glasses"),
    *EMOTIONS,
    *HAIR_COLOURS,
    *FACIAL_HAIR,
)
# Uniform draws of the pose stay within 24, 12 and 54 degrees, as in portraits.
POSE_LIMITS = {"pitch": (0.2, 0.8), "roll": (0.3, 0.7), "yaw": (0.2, 0.8)}

DrawGroup = Callable[[np.random.Generator, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class RenderSet:
    """`count` faces of one kind; a face depends only on (kind, seed, id), a rare face also on `of` and `spread`.

    of: the attributes of RARE that are drawn near their edges, equally often; empty: all, with OFTENER's frequencies.
    spread: standard deviation of a rare face's normal around its edge.
    """

    kind: str
    seed: int
    count: int
    resolution: int = 64
    of: tuple[str, ...] = ()
    spread: float = EDGE_SPREAD

    @property
    def name(self) -> str:
        """The name of the set's files."""
        kind = "-".join((self.kind, *self.of, *((f"{self.spread:g}",) if self.spread != EDGE_SPREAD else ())))
        return f"{kind}-{self.seed}-{self.count}-{self.resolution}-world{KINDS[self.kind]}"

    def factors(self, ids: np.ndarray) -> Tensor:
        """Factors (N, N_FACTORS) in [0, 1] of the faces `ids`."""
        if self.kind in ("generator", "rare"):
            return truth_factors(self.w(ids))
        if self.kind == "natural":
            return face_factors.draw_factors(self.seed, ids.tolist())
        drawn = face_factors.draw_factors(self.seed, ids.tolist())
        broad = _broaden(drawn, self.seed, ids)
        return broad if self.kind == "broad" else _personify(drawn, broad, self.seed, ids)

    def w(self, ids: np.ndarray) -> Tensor:
        """w (N, 512) of the faces `ids`. Raises ValueError for a kind whose faces have no w."""
        if self.kind == "generator":
            return _mapping().map_to_w(torch.from_numpy(draw_z(self.seed, ids)))
        if self.kind == "rare":
            return w_of_truth(_near_edges(self.seed, ids, self.of, self.spread))
        raise ValueError(f"Faces of kind {self.kind!r} have no w.")


@functools.cache
def _mapping() -> MappingNetwork:
    return make_mapping().requires_grad_(False)


def _edge(name: str) -> float:
    """The value of its normal at which an attribute of RARE begins to show."""
    at, to = quantile_knots(name)
    return float(torch.special.ndtri(torch.tensor(np.interp(RARE[name], to, at), dtype=torch.float64)))


def _near_edges(seed: int, ids: np.ndarray, of: tuple[str, ...], spread: float) -> Tensor:
    """Normals of the truth (N, N_FACTORS), float64, in which one attribute's normal is near its edge."""
    names = of or tuple(RARE)
    weight = np.array([1 if of else OFTENER.get(name, 1) for name in names], dtype=np.float64)
    rows = copula.cholesky().numpy()[[attributes.INDEX[name] for name in names]]
    edges, normals = [_edge(name) for name in names], np.empty((len(ids), face_factors.N_FACTORS))
    for place, i in enumerate(ids):
        stream = np.random.default_rng([seed, 4, int(i)])
        chosen = stream.choice(len(names), p=weight / weight.sum())
        wanted = edges[chosen] + spread * stream.standard_normal()
        normals[place] = stream.standard_normal(face_factors.N_FACTORS)
        # The attribute's normal is row @ normals with |row| = 1, so this is the exact conditional distribution.
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
    """(smile, neutral, *EMOTIONS): happiness or one emotion with a uniform strength; the rest is neutral."""
    values, chosen, strength = np.zeros_like(natural), stream.integers(0, 1 + len(EMOTIONS)), stream.random()
    values[0 if chosen == 0 else 1 + chosen] = strength
    values[1] = 1 - strength
    return values


def _one_hair_colour(stream: np.random.Generator, natural: np.ndarray) -> np.ndarray:
    """HAIR_COLOURS: a uniformly drawn colour swaps its value with the leading one."""
    led, chosen, values = int(natural.argmax()), int(stream.integers(0, len(natural))), natural.copy()
    values[led], values[chosen] = natural[chosen], natural[led]
    return values


def _only_on_men(faces: Tensor, drawn: Tensor) -> None:
    """Reset women's facial hair to the draw with FFHQ's statistics, in place."""
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
        """Images (n, 3, H, W) float32 in [-1, 1] and factors (n, N_FACTORS) of the given rows."""
        return torch.from_numpy(self.images[rows]).float().div_(127.5).sub_(1), torch.from_numpy(self.factors[rows])


def rendered(wanted: RenderSet, folder: Path, workers: int, say: Callable[[str], None] = print) -> RenderedSet:
    """The rendered set. Only missing blocks are rendered, so an interrupted call continues."""
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


def kind_of(drawn: Tensor) -> Tensor:
    """The kind (N,), 0 to CLASSES - 1, of faces with factors (N, N_FACTORS)."""
    value = {name: drawn[:, attributes.INDEX[name]] for name in attributes.NAMES}
    age = (value["age"] > 0.3).long() + (value["age"] > 0.6).long()
    light = (value["hair_blond"] + value["hair_grey"] > value["hair_black"] + value["hair_brown"] - 0.3).long()
    male, glasses = (value["gender"] > 0.5).long(), (value["glasses"] > 0.5).long()
    return ((male * 3 + age) * 2 + glasses) * 2 + light
