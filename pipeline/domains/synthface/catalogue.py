"""The table of the 78 factors as a page of the docs, with a picture of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pipeline import images
from pipeline.domains.synthface.factor_rows import rows
from pipeline.domains.synthface.factors import FACTORS, PARTS
from pipeline.domains.synthface.portrait import (
    PART_COLOURS,
    part_map,
    plain_face,
    with_settings,
    write_png,
)
from pipeline.domains.synthface.renderer import render
from pipeline.errors import ConfigError
from pipeline.storage.files import replacing

PAGE = "synthface-factors.md"
PICTURES = Path("img/synthface-factors")  # relative to the page
PARTS_PICTURE = "parts.png"
FILES = len(FACTORS) + 2  # a picture each, the parts, the page
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE = 96  # pixels of a face in a strip
COLOURS = 128  # of a strip's palette, so that all pictures together stay small

_HAIR = {f"hair_{colour}": 0.0 for colour in ("brown", "blond", "black", "red", "grey", "other")}
_MAN = {"gender": 1.0}
# Factors that must be set for another factor to be visible; its strip shows the plain face with them.
SHOWN_WITH: dict[str, dict[str, float]] = {
    **{name: {other: 0.0 for other in _HAIR if other != name} for name in _HAIR},
    **{name: _MAN for name in ("moustache", "beard", "sideburns", "baldness")},
    "ear_size": _MAN | {"hair_length": 0.0},
    "hair_curl": {"hair_length": 1.0},
    "hair_volume": {"hair_length": 1.0},
    "light_x": {"light_ambient": 0.0},
    "light_y": {"light_ambient": 0.0},
    "light_ambient": {"light_x": 0.0},
    "cloth_hue": {"headwear": 1.0},
    "frame_shape": {"glasses": 1.0},
    "frame_colour": {"glasses": 1.0},
    "freckles": {"skin_tone": 0.2},
}
INTRODUCTION = """# The factors of synthface

Written by `latentbench synthface factors --write docs/reference`: change
`pipeline/domains/synthface/factor_table.py`, not this page.

A face is {count} numbers in [0, 1]. Any can be drawn:

    latentbench synthface render --set age=0.8 --set glasses=1 --identity 7 out.png

What is not set stands at its default: attributes at FFHQ's medians, which for the binary ones is 0, but seen from the
front, at rest, without blur and noise; the rest at 0.5. `--identity` draws the identity factors, `--random` all.
`glasses` is 1 where `reading_glasses` or `sunglasses` is; set alone it gives plain glasses. The two kinds exclude one
another.

Each strip shows the default face with one factor at {steps}, and with what else is needed to see it.

![A face, and the part that each of its pixels belongs to]({picture})"""
TITLES = {
    "attribute": "Attributes",
    "identity": "Identity",
    "nuisance": "Nuisance",
}
EXPLAINED = {
    "attribute": "What the benchmark edits and measures. Distributions and rank correlations are FFHQ's.",
    "identity": "Who it is. Independent normals around 0.5, clipped to [0, 1].",
    "nuisance": "Everything else that changes between two photographs of a person. Independent, uniform.",
}


def page() -> str:
    """The page in Markdown; it depends only on the table of factors, not on the renderer."""
    known = rows()
    steps = ", ".join(f"{step:g}" for step in STEPS)
    text = [INTRODUCTION.format(count=len(known), steps=steps, picture=(PICTURES / PARTS_PICTURE).as_posix())]
    for kind, title in TITLES.items():
        chosen = [row for row in known if row["kind"] == kind]
        text += ["", f"## {title} ({len(chosen)})", "", EXPLAINED[kind], ""]
        text += ["| factor | 0 | 1 | default | meaning | parts it touches | 0 to 1 |", "|---|---|---|---|---|---|---|"]
        text += [_line(row) for row in chosen]
    return "\n".join(text) + "\n"


def names_on(page_text: str) -> list[str]:
    """The factors listed on a page, in its order."""
    cells = [line.split("|")[1].strip() for line in page_text.splitlines() if line.startswith("| `")]
    return [cell.strip("`") for cell in cells]


def faces_of(name: str) -> Tensor:
    """Default faces (len(STEPS), N_FACTORS) with a factor at each of STEPS, and SHOWN_WITH's factors set."""
    return torch.cat([with_settings(plain_face()[None], SHOWN_WITH.get(name, {}) | {name: value}) for value in STEPS])


def pictures() -> Iterator[tuple[str, Image.Image]]:
    """Pairs of file name and picture: one strip per factor, and the legend of the parts. Always the same pictures."""
    yield PARTS_PICTURE, _parts_picture()
    for factor in FACTORS:
        strip = images.strip(render(faces_of(factor.name), SIDE).images)
        yield f"{factor.name}.png", strip.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def write_page(folder: Path) -> Iterator[Path]:
    """Write the page into `folder` and its pictures below, and delete pictures of removed factors; yields each file.

    Raises ConfigError if a file cannot be written.
    """
    place = folder / PICTURES
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{place}: expected a folder to write pictures into: {error.strerror}.") from error
    written = set()
    for name, picture in pictures():
        write_png(picture, place / name)
        written.add(name)
        yield place / name
    for stale in place.glob("*.png"):
        if stale.name not in written:
            stale.unlink()
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
    yield folder / PAGE


def _line(row: dict[str, Any]) -> str:
    name = row["factor"]
    with_it = ", ".join(f"{other} {value:g}" for other, value in SHOWN_WITH.get(name, {}).items() if name not in _HAIR)
    picture = f"![{name}]({(PICTURES / f'{name}.png').as_posix()})" + (f"<br>with {with_it}" if with_it else "")
    parts = "the whole picture" if tuple(row["parts"]) == PARTS else ", ".join(row["parts"])
    cells = (f"`{name}`", row["low"], row["high"], f"{row['default']:g}", row["meaning"], parts, picture)
    return f"| {' | '.join(cells)} |"


def _parts_picture() -> Image.Image:
    """A face with all parts, its part map, and a legend of the colours."""
    worn = {"glasses": 1.0, "beard": 0.8, "gender": 1.0, "headwear": 0.6, "mouth_occluded": 0.35}
    drawn = render(with_settings(plain_face()[None], worn), 3 * SIDE, masks=True)
    assert drawn.masks is not None
    side, font = 3 * SIDE, ImageFont.load_default(size=13)
    picture = Image.new("RGB", (2 * side + 130, side), "white")
    picture.paste(images.to_pil(drawn.images[0]), (0, 0))
    picture.paste(part_map(drawn.masks).convert("RGB"), (side + 2, 0))
    draw = ImageDraw.Draw(picture)
    for place, part in enumerate(PARTS):
        top = 4 + place * (side - 8) // len(PARTS)
        draw.rectangle((2 * side + 12, top, 2 * side + 28, top + 14), fill=PART_COLOURS[place])
        draw.text((2 * side + 36, top), part, fill="black", font=font)
    return picture.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
