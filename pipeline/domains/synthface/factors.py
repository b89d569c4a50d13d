"""The factors of a synthface face: 35 attributes, identity factors and nuisance factors, all in [0, 1].

Attributes follow FFHQ through a Gaussian copula (copula.py), identity factors are clipped normals, nuisance factors are
uniform. `glasses` is 1 if `reading_glasses` or `sunglasses` is 1, or if its latent draws another kind (share 0.2 %). If
both kinds are drawn, sunglasses are kept and reading glasses dropped, so the three factors are always consistent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface import copula

Kind = Literal["attribute", "identity", "nuisance"]

# The parts of a picture, in the order of the mask planes. The neck belongs to `skin`, eye shadow to `eyes`, lips and
# teeth to `mouth`; a scarf or mask in front of the mouth is `occluder`.
PARTS: tuple[str, ...] = (
    "background",
    "clothing",
    "skin",
    "hair",
    "eyes",
    "brows",
    "nose",
    "mouth",
    "beard",
    "glasses",
    "headwear",
    "occluder",
)
FACE = ("skin", "eyes", "brows", "nose", "mouth")
BLOCK = 1024  # faces drawn from one random stream
IDENTITY_SPREAD = 0.25  # standard deviation of an identity factor before clipping


@dataclass(frozen=True)
class Factor:
    """One number of a face, in [0, 1]; `low` and `high` state the meaning of 0 and 1."""

    name: str
    kind: Kind
    low: str
    high: str
    meaning: str
    parts: tuple[str, ...]


_ATTRIBUTE_PARTS: dict[str, tuple[str, ...]] = {
    "smile": ("mouth", "skin", "eyes"),
    "pitch": PARTS,
    "roll": PARTS,
    "yaw": PARTS,
    "gender": ("skin", "brows", "mouth", "eyes", "nose", "hair"),
    "age": (*FACE, "hair"),
    "moustache": ("beard",),
    "beard": ("beard",),
    "sideburns": ("beard",),
    "reading_glasses": ("glasses",),
    "sunglasses": ("glasses", "eyes"),
    "anger": FACE,
    "contempt": ("mouth", "skin"),
    "disgust": FACE,
    "fear": FACE,
    "neutral": FACE,
    "sadness": FACE,
    "surprise": FACE,
    "blur": PARTS,
    "exposure": PARTS,
    "noise": PARTS,
    "eye_makeup": ("eyes", "skin"),
    "lip_makeup": ("mouth",),
    "headwear": ("headwear", "hair"),
    "glasses": ("glasses",),
    "forehead_occluded": ("hair", "skin", "brows"),
    "eye_occluded": ("hair", "eyes", "brows"),
    "mouth_occluded": ("occluder", "mouth", "beard", "skin"),
    "baldness": ("hair", "skin"),
} | {f"hair_{colour}": ("hair", "brows", "beard") for colour in ("brown", "blond", "black", "red", "grey", "other")}

_IDENTITY: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("head_width", "narrow", "wide", FACE),
    ("head_length", "short", "long", FACE),
    ("jaw_width", "narrow", "wide", ("skin", "beard")),
    ("cheekbones", "flat", "prominent", ("skin",)),
    ("chin", "short", "long", ("skin", "beard")),
    ("eye_spacing", "close", "apart", ("eyes", "brows", "glasses")),
    ("eye_size", "small", "large", ("eyes",)),
    ("eye_tilt", "outer corner down", "outer corner up", ("eyes",)),
    ("nose_width", "narrow", "wide", ("nose",)),
    ("nose_length", "short", "long", ("nose",)),
    ("nose_bridge", "low", "high", ("nose",)),
    ("lip_fullness", "thin", "full", ("mouth",)),
    ("mouth_width", "narrow", "wide", ("mouth",)),
    ("mouth_height", "low", "high", ("mouth", "skin")),
    ("skin_tone", "light", "dark", ("skin", "nose", "mouth")),
    ("skin_undertone", "cool, pink", "warm, yellow", ("skin", "nose")),
    ("freckles", "none", "many", ("skin",)),
    ("iris_colour", "dark brown", "light blue", ("eyes",)),
    ("brow_thickness", "thin", "thick", ("brows",)),
    ("brow_arch", "straight", "arched", ("brows",)),
    ("ear_size", "small", "large", ("skin",)),
    ("hairline", "low", "high", ("hair", "skin")),
)

_NUISANCE: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("light_x", "from the left", "from the right", PARTS),
    ("light_y", "from below the brow", "from above", PARTS),
    ("light_ambient", "hard key light", "soft, even light", PARTS),
    ("background_red", "none", "full", ("background",)),
    ("background_green", "none", "full", ("background",)),
    ("background_blue", "none", "full", ("background",)),
    ("background_gradient", "dark at the foot", "dark at the top", ("background",)),
    ("clothing_red", "none", "full", ("clothing",)),
    ("clothing_green", "none", "full", ("clothing",)),
    ("clothing_blue", "none", "full", ("clothing",)),
    ("collar", "round neck", "open collar", ("clothing", "skin")),
    ("cloth_hue", "red", "violet, through green and blue", ("headwear", "occluder")),
    ("hair_length", "short", "long", ("hair",)),
    ("hair_volume", "flat", "full", ("hair",)),
    ("hair_parting", "on the left", "on the right", ("hair",)),
    ("hair_curl", "straight", "wavy", ("hair",)),
    ("frame_shape", "round", "rectangular", ("glasses",)),
    ("frame_colour", "black", "red-brown, then metal", ("glasses",)),
    ("mouth_opening", "closed", "parted", ("mouth",)),
    ("gaze_x", "to the left", "to the right", ("eyes",)),
    ("gaze_y", "down", "up", ("eyes",)),
)


def _all_factors() -> tuple[Factor, ...]:
    found = [
        Factor(
            name,
            "attribute",
            f"{attributes.get(name).low:g}",
            f"{attributes.get(name).high:g}",
            name.replace("_", " "),
            _ATTRIBUTE_PARTS[name],
        )
        for name in attributes.NAMES
    ]
    for kind, rows in (("identity", _IDENTITY), ("nuisance", _NUISANCE)):
        for name, low, high, parts in rows:
            meaning = name.replace("_", " ")
            found.append(Factor(name, kind, low, high, meaning, parts))  # type: ignore[arg-type]
    return tuple(found)


FACTORS: tuple[Factor, ...] = _all_factors()
FACTOR_NAMES: tuple[str, ...] = tuple(factor.name for factor in FACTORS)
N_FACTORS = len(FACTORS)
N_ATTRIBUTES = len(attributes.NAMES)
IDENTITY_INDEX: list[int] = [i for i, f in enumerate(FACTORS) if f.kind == "identity"]
NUISANCE_INDEX: list[int] = [i for i, f in enumerate(FACTORS) if f.kind == "nuisance"]


def column(name: str) -> int:
    """The column of a factor in every (N, N_FACTORS) tensor."""
    return FACTOR_NAMES.index(name)


def factors_from_normals(normals: Tensor) -> Tensor:
    """Independent standard normals (N, N_FACTORS) -> factors (N, N_FACTORS) in [0, 1]."""
    exact = normals.to(torch.float64)
    latents = exact[:, :N_ATTRIBUTES] @ copula.cholesky().T
    probability = torch.special.ndtr(latents)
    values = torch.empty_like(exact)
    for place, name in enumerate(attributes.NAMES):
        values[:, place] = copula.quantile(name, probability[:, place])
    reading, sun, worn = (column(n) for n in ("reading_glasses", "sunglasses", "glasses"))
    values[:, reading] *= 1 - values[:, sun]
    share = {
        n: float(copula.statistics()["attributes"][n]["share_above_half"])
        for n in ("reading_glasses", "sunglasses", "glasses")
    }
    known = share["reading_glasses"] + share["sunglasses"]
    other = probability[:, worn] > 1 - (share["glasses"] - known) / (1 - known)
    values[:, worn] = torch.maximum(values[:, reading], values[:, sun]).maximum(other.double())
    values[:, IDENTITY_INDEX] = (0.5 + IDENTITY_SPREAD * exact[:, IDENTITY_INDEX]).clamp(0, 1)
    values[:, NUISANCE_INDEX] = torch.special.ndtr(exact[:, NUISANCE_INDEX])
    return values.to(torch.float32)


def draw_factors(seed: int, ids: Sequence[int] | Tensor) -> Tensor:
    """The factors (N, N_FACTORS) in [0, 1] of the faces `ids`; a row depends only on (seed, id)."""
    wanted = np.asarray(ids.tolist() if isinstance(ids, Tensor) else list(ids), dtype=np.int64)
    normals = np.empty((len(wanted), N_FACTORS))
    for block in np.unique(wanted // BLOCK):
        inside = wanted // BLOCK == block
        stream = np.random.default_rng([seed, int(block)])
        normals[inside] = stream.standard_normal((BLOCK, N_FACTORS))[wanted[inside] % BLOCK]
    return factors_from_normals(torch.from_numpy(normals))


def attributes_of(factors: Tensor) -> Tensor:
    """The 35 attributes (N, 35) among the factors (N, N_FACTORS)."""
    return factors[:, :N_ATTRIBUTES]
