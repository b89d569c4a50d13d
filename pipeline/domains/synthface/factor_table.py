"""The factors of a synthface face by name: 35 attributes, identity factors and nuisance factors. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline import attributes

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
