"""Portraits: plain, identity or random faces with factors set by name, as a PNG that stores all factors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from pipeline import attributes, images
from pipeline.domains.synthface.factors import (
    FACTOR_NAMES,
    IDENTITY_INDEX,
    PARTS,
    column,
    draw_factors,
)
from pipeline.domains.synthface.plain import in_units, plain_values, unit_of
from pipeline.domains.synthface.renderer import render
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.storage.files import replacing

TEXT_KEY = "latentbench"  # key of the PNG's text chunk
GAP = 2  # white pixels between two faces
GLASSES = ("reading_glasses", "sunglasses")  # the kinds of glasses; `glasses` is 1 if one of them is

# Colours of the part map, in the order of PARTS, red, green, blue; 255 in the map is the gap between two faces.
PART_COLOURS: tuple[tuple[int, int, int], ...] = (
    (214, 222, 230),
    (86, 104, 150),
    (236, 188, 156),
    (112, 72, 48),
    (60, 160, 220),
    (64, 40, 30),
    (226, 140, 110),
    (204, 52, 70),
    (150, 110, 60),
    (20, 20, 20),
    (60, 150, 90),
    (160, 90, 180),
)
_GAP_INDEX = 255


@dataclass(frozen=True)
class Portraits:
    """Faces to draw: factors (N, N_FACTORS), the origin of each face, the settings, and factors derived from them."""

    factors: Tensor
    starts: tuple[str, ...]
    settings: Mapping[str, float]
    followed: tuple[Mapping[str, float], ...]


def plain_face() -> Tensor:
    """The face (N_FACTORS,) from which every portrait starts, with median identity factors.

    Attributes have FFHQ's medians, 0 for binary ones (nothing worn, nothing covered, female). Identity and nuisance
    factors are 0.5, their median: light from the front, grey background. PLAIN lists the exceptions.
    """
    return torch.tensor(plain_values())


def faces_of_identities(seed: int, ids: Sequence[int]) -> Tensor:
    """Plain faces (N, N_FACTORS) with the identity factors of the faces `ids` drawn from `seed`."""
    faces = plain_face().repeat(len(ids), 1)
    if ids:
        faces[:, IDENTITY_INDEX] = draw_factors(seed, ids)[:, IDENTITY_INDEX]
    return faces


def parse_settings(texts: Sequence[str]) -> dict[str, float]:
    """Parse `NAME=VALUE` texts to factor values in [0, 1]; `expression` means `smile`.

    Raises UnknownNameError, with the closest factor, and ConfigError for a text that is not NAME=VALUE, a value that is
    not a number in [0, 1], and a factor that is set twice.

    >>> parse_settings(["age=0.8", "expression=1"])
    {'age': 0.8, 'smile': 1.0}
    """
    found: dict[str, float] = {}
    for text in texts:
        name, equals, number = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise ConfigError(f"--set {text}: expected NAME=VALUE, such as age=0.8.")
        factor = attributes.EVALUATED.get(name, name)
        if factor not in FACTOR_NAMES:
            raise UnknownNameError("factor", name, known=(*attributes.EVALUATED, *FACTOR_NAMES))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            ends = f"; 0 is {in_units(factor, 0)}, 1 is {in_units(factor, 1)}" if unit_of(factor) else ""
            raise ConfigError(f"--set {text}: expected a number from 0 to 1, found {number!r}{ends}.")
        if factor in found:
            raise ConfigError(f"--set {text}: {factor} is set twice, to {found[factor]:g} before. Set it once.")
        found[factor] = value
    return found


def with_settings(faces: Tensor, settings: Mapping[str, float]) -> Tensor:
    """A copy of faces (N, N_FACTORS) with factors set; the three factors of glasses stay consistent as in factors.py.

    If one of the three is set, kinds that are not set become 0, so `glasses` alone gives plain glasses, and `glasses`
    becomes 1 with a kind. Raises ConfigError for contradictory settings of the three.
    """
    changed = faces.clone()
    for name, value in settings.items():
        changed[:, column(name)] = value
    kinds = {name: settings.get(name, 0.0) for name in GLASSES}
    strongest = max(kinds, key=lambda name: kinds[name])
    if min(kinds.values()) > 0:
        raise ConfigError(f"{' and '.join(kinds)} exclude one another: set one of them.")
    if settings.get("glasses", 1.0) < kinds[strongest]:
        conflict = f"glasses={settings['glasses']:g} contradicts {strongest}={kinds[strongest]:g}"
        raise ConfigError(f"{conflict}: a face with a kind of glasses has glasses. Remove glasses from the settings.")
    if settings.keys() & {*GLASSES, "glasses"}:
        for name, value in kinds.items():
            changed[:, column(name)] = value
        changed[:, column("glasses")] = settings.get("glasses", kinds[strongest])
    return changed


def compose(
    seed: int,
    identities: Sequence[int],
    randoms: Sequence[int],
    settings: Mapping[str, float],
    like: Path | None = None,
) -> Portraits:
    """Portraits of identities, then of random faces, then of the faces of an earlier portrait; by default identity 0.

    Raises ConfigError for contradictory settings and for an earlier portrait that cannot be read.
    """
    chosen = list(identities) if identities or randoms or like else [0]
    starts = [f"identity {i} of seed {seed}" for i in chosen] + [f"random face {i} of seed {seed}" for i in randoms]
    faces = [faces_of_identities(seed, chosen)]
    if randoms:
        faces.append(draw_factors(seed, randoms))
    if like:
        earlier = read_faces(like)
        faces.append(earlier)
        starts += [f"face {place + 1} of {like.name}" for place in range(len(earlier))]
    before = torch.cat(faces)
    after = with_settings(before, settings)
    followed = []
    for old, new in zip(before, after, strict=True):
        moved = [n for n in (*GLASSES, "glasses") if n not in settings and old[column(n)] != new[column(n)]]
        followed.append({name: float(new[column(name)]) for name in moved})
    return Portraits(after, tuple(starts), dict(settings), tuple(followed))


def draw_portraits(portraits: Portraits, path: Path, size: int, *, masks: bool = False) -> list[Path]:
    """Render portraits side by side, `size` pixels each, into a PNG that stores their factors; returns the files.

    With `masks`, NAME-masks.png is a palette PNG of the part with the largest share in each pixel; the pixel value is
    the index in PARTS. Each file is written atomically. Raises ConfigError for a path that cannot be written.
    """
    check_target(path)
    rendered = render(portraits.factors, size, masks=masks)
    note = PngImagePlugin.PngInfo()
    note.add_text(TEXT_KEY, json.dumps(as_json(portraits) | {"size": size}))
    write_png(images.strip(rendered.images, gap=GAP), path, note)
    if rendered.masks is None:
        return [path]
    beside = path.with_name(f"{path.stem}-masks.png")
    note = PngImagePlugin.PngInfo()
    note.add_text(TEXT_KEY, json.dumps({"parts": list(PARTS)}))
    write_png(part_map(rendered.masks), beside, note)
    return [path, beside]


def part_map(masks: Tensor) -> Image.Image:
    """Part shares (N, len(PARTS), H, W) as a palette picture, faces side by side; a pixel is an index in PARTS."""
    planes = masks.argmax(dim=1).to(torch.uint8).numpy()
    gap = np.full((planes.shape[1], GAP), _GAP_INDEX, dtype=np.uint8)
    pieces = [piece for plane in planes for piece in (gap, plane)][1:]
    picture = Image.fromarray(np.concatenate(pieces, axis=1)).convert("P")
    colours = [channel for colour in PART_COLOURS for channel in colour]
    picture.putpalette(colours + [255] * (3 * 256 - len(colours)))
    return picture


def as_json(portraits: Portraits) -> dict[str, Any]:
    """The settings and factors of the portraits as JSON; the same factors give the same pixels."""
    faces = [
        {"from": start, "factors": dict(zip(FACTOR_NAMES, row.tolist(), strict=True))}
        for start, row in zip(portraits.starts, portraits.factors, strict=True)
    ]
    return {"command": "latentbench synthface render", "set": dict(portraits.settings), "faces": faces}


def read_faces(path: Path) -> Tensor:
    """The factors (N, N_FACTORS) stored in the PNG of a portrait. Raises ConfigError if there are none."""
    try:
        with Image.open(path) as picture:
            text = picture.info.get(TEXT_KEY, "{}")
        faces = [face["factors"] for face in json.loads(text).get("faces", ())]
        rows = [[float(face[name]) for name in FACTOR_NAMES] for face in faces]
    except OSError as error:
        raise ConfigError(
            f"{path}: expected a PNG that `synthface render` wrote; it cannot be read: {error}"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: its factors are of another version ({error}). Render it again.") from error
    if not rows:
        raise ConfigError(f"{path}: expected a PNG that `synthface render` wrote; this one has no factors.")
    return torch.tensor(rows, dtype=torch.float32)


def describe(portraits: Portraits) -> list[str]:
    """Lines of text: the settings, and each face's origin with the factors derived from them."""
    chosen = [_shown(name, value) for name, value in portraits.settings.items()]
    lines = [f"set: {', '.join(chosen) or 'nothing'}"]
    for start, followed in zip(portraits.starts, portraits.followed, strict=True):
        derived = ", ".join(_shown(name, value) for name, value in followed.items())
        lines.append(f"{start}; {derived} follows" if derived else start)
    return lines


def check_target(path: Path) -> None:
    """Raise ConfigError unless a PNG file can be written to the path."""
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{path}: expected a file name that ends in .png.")
    if path.is_dir() or not path.parent.is_dir():
        fault = "a folder has that name" if path.is_dir() else f"there is no folder {path.parent}"
        raise ConfigError(f"{path}: expected a file in a folder that exists; {fault}.")


def write_png(picture: Image.Image, path: Path, note: PngImagePlugin.PngInfo | None = None) -> None:
    """Write a picture as PNG atomically; the same pixels and note give the same bytes. Raises ConfigError."""
    check_target(path)
    try:
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG", optimize=False, compress_level=9, pnginfo=note)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}.") from error


def _shown(name: str, value: float) -> str:
    return f"{name} {value:g} ({in_units(name, value)})" if unit_of(name) else f"{name} {value:g}"
