"""Sheets of pictures: generated faces, renders of the truth, pairs of both, and the effect of each attribute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pipeline import attributes, images
from pipeline.domains.synthface import copula
from pipeline.domains.synthface.domain import card_of, weights_path
from pipeline.domains.synthface.factors import column, draw_factors
from pipeline.domains.synthface.plain import in_units
from pipeline.domains.synthface.portrait import check_target, plain_face, with_settings, write_png
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.truth import truth_factors
from pipeline.errors import ConfigError, UnknownNameError, WeightsError
from stylegan.generator import Generator
from stylegan.sampling import draw_z
from stylegan.weights import WeightsFileError, load_generator

PAIRS_PER_ROW = 6
FACES_PER_ROW = 8
TILE = 128  # pixels of a face on a sheet
STRIP_TILE = 84  # pixels of a face on the strip
RARE = 0.01  # low and high on the strip are FFHQ's quantiles at 1 % and 99 %
# Factors that could hide a face; they have their default on the strip.
UNCOVERED = ("headwear", "forehead_occluded", "eye_occluded", "mouth_occluded", "blur", "noise", "exposure")


def _generator() -> Generator:
    """The generator without the other networks. Raises WeightsError."""
    try:
        return load_generator(weights_path("generator"), str(card_of("generator")["sha256"]))
    except WeightsFileError as error:
        raise WeightsError(str(error)) from error


@torch.no_grad()
def _truth_and_generated(seed: int, count: int, *, truth: bool = True, made: bool = True) -> list[Tensor]:
    """Of z drawn from (seed, 0), (seed, 1), ...: renders of the truth, and G(z), each (count, 3, H, W)."""
    generator = _generator()
    w = generator.map_to_w(torch.from_numpy(draw_z(seed, np.arange(count))))
    found = [render(truth_factors(w), generator.resolution).images] if truth else []
    if made:
        batches = generator.mapping.broadcast(w).split(16)
        found.append(torch.cat([generator.synthesis(batch) for batch in batches]))
    return found


def pairs(seed: int, count: int) -> Image.Image:
    """`count` pairs of the render of the truth (left) and G(z) (right), z drawn from (seed, 0), (seed, 1), ..."""
    side_by_side = torch.stack(_truth_and_generated(seed, count), dim=1).flatten(0, 1)
    return images.sheet(images.resize(side_by_side, TILE), columns=2 * PAIRS_PER_ROW)


def generated(seed: int, count: int) -> Image.Image:
    """G(z) of `count` z, drawn from (seed, 0), (seed, 1), ..., at truncation 1."""
    (made,) = _truth_and_generated(seed, count, truth=False)
    return images.sheet(images.resize(made, TILE), columns=FACES_PER_ROW)


def renders(seed: int, count: int) -> Image.Image:
    """Renders of the truth of the z in `generated`, in the same order and at the same resolution."""
    (drawn,) = _truth_and_generated(seed, count, made=False)
    return images.sheet(images.resize(drawn, TILE), columns=FACES_PER_ROW)


def attribute_strip(seed: int, count: int) -> Image.Image:
    """One row per face of (seed, 0), (seed, 1), ...: unchanged, then each evaluated attribute alone, low and high."""
    faces = draw_factors(seed, range(count))
    for name in UNCOVERED:
        faces[:, column(name)] = plain_face()[column(name)]
    columns, lows, highs = [faces], [], []
    for name in attributes.EVALUATED.values():
        low, high = (float(v) for v in copula.quantile(name, torch.tensor([RARE, 1 - RARE], dtype=torch.float64)))
        columns += [with_settings(faces, {name: low}), with_settings(faces, {name: high})]
        lows.append(in_units(name, low))
        highs.append(in_units(name, high))
    drawn = render(torch.stack(columns, dim=1).flatten(0, 1), STRIP_TILE).images
    pixels = images.to_uint8(drawn).view(count, len(columns), STRIP_TILE, STRIP_TILE, 3).numpy()
    return _lay_out(pixels, list(zip(attributes.EVALUATED, lows, highs, strict=True)))


def _lay_out(pixels: np.ndarray, groups: list[tuple[str, str, str]]) -> Image.Image:
    """A picture of faces (rows, 1 + 2 groups, H, W, 3): one column, then two columns per group (title, low, high)."""
    rows, columns, side = pixels.shape[:3]
    head, gap, wide = 40, 3, 14
    lefts = [0] + [side + wide + i // 2 * (2 * side + gap + wide) + i % 2 * (side + gap) for i in range(columns - 1)]
    picture = Image.new("RGB", (lefts[-1] + side, head + rows * (side + gap)), "white")
    draw = ImageDraw.Draw(picture)
    large, small = ImageFont.load_default(size=16), ImageFont.load_default(size=12)
    draw.text((side / 2, 30), "own", fill="black", font=small, anchor="mm")
    for place, (title, low, high) in enumerate(groups):
        left, right = lefts[1 + 2 * place], lefts[2 + 2 * place]
        draw.text(((left + right + side) / 2, 11), title, fill="black", font=large, anchor="mm")
        draw.text((left + side / 2, 30), low, fill="black", font=small, anchor="mm")
        draw.text((right + side / 2, 30), high, fill="black", font=small, anchor="mm")
    for row in range(rows):
        for place, left in enumerate(lefts):
            picture.paste(Image.fromarray(pixels[row, place]), (left, head + row * (side + gap)))
    return picture


@dataclass(frozen=True)
class Sheet:
    """A kind of sheet: its drawing function, its default number of faces, and its file in docs/img."""

    draw: Callable[[int, int], Image.Image]
    count: int
    file: str


SHEETS: dict[str, Sheet] = {
    "pairs": Sheet(pairs, 24, "synthface-pairs.png"),
    "generated": Sheet(generated, 64, "synthface-generated.png"),
    "renders": Sheet(renders, 64, "synthface-renders.png"),
    "strip": Sheet(attribute_strip, 10, "synthface-strip.png"),
}


def write_sheet(kind: str, path: Path, seed: int, count: int | None = None) -> int:
    """Draw one kind of sheet into a PNG, written atomically; returns the number of faces or pairs.

    Raises UnknownNameError for another kind, ConfigError for a path that cannot be written.
    """
    if kind not in SHEETS:
        raise UnknownNameError("kind of sheet", kind, SHEETS)
    check_target(path)
    shown = SHEETS[kind].count if count is None else count
    write_png(SHEETS[kind].draw(seed, shown), path)
    return shown


def sheet_files(folder: Path) -> dict[str, Path]:
    """Kind -> its file in a folder of docs. Raises ConfigError if the folder does not exist."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder that exists, such as docs/img.")
    return {kind: folder / sheet.file for kind, sheet in SHEETS.items()}
