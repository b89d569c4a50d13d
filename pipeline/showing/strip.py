"""Rows of edited pictures as one picture, or as one that moves, with strengths and scores below each."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from pipeline.attributes import EVALUATED, get
from pipeline.showing.edited_faces import EditedFace, EditedRow

Colour = tuple[int, int, int]

GAP, MARGIN, LETTERS = 6, 12, 13  # pixels; letters are so high
NARROWEST = 420  # pixels of a line
INK, FAINT, WARNING = (26, 26, 26), (95, 95, 95), (176, 0, 32)
QUALITY = 90  # of WebP
SWEEP = 2400  # milliseconds from one end of the range to the other
SLOWEST = 400  # milliseconds of one step


@dataclass(frozen=True)
class Heading:
    """What the rows show: the attribute, the face counted from 0, and the run in words."""

    attribute: str
    face: int
    run: str


def drawn(heading: Heading, rows: Sequence[EditedRow], size: int) -> Image.Image:
    """All rows in one picture, a row for each method; every edit is `size` pixels wide."""
    line, columns = _line(), max(len(row.edits) for row in rows)
    names = [f"{row.method} (strength: {row.unit})" for row in rows]
    width = max(columns * (size + GAP) - GAP, *map(_width, names), NARROWEST)
    title = _title(heading, rows, width)
    top, height = MARGIN + len(title) * line + GAP, size + 5 * line + GAP
    sheet = _sheet(title, width, top + len(rows) * height)
    for name, row in zip(names, rows, strict=True):
        _write(sheet, MARGIN, top, name)
        for place, edit in enumerate(row.edits):
            _put(sheet, MARGIN + place * (size + GAP), top + line, edit, heading.attribute, size)
        top += height
    return sheet


def frames(heading: Heading, rows: Sequence[EditedRow], size: int) -> list[Image.Image]:
    """A picture for each step, in which the methods stand side by side; the range is gone through to and fro."""
    line, wide = _line(), max(size, *(_width(row.method) for row in rows)) + GAP
    width = max(len(rows) * wide - GAP, NARROWEST)
    title = _title(heading, rows, width)
    top = MARGIN + len(title) * line + GAP
    sheets = []
    for step in range(len(rows[0].edits)):
        sheet = _sheet(title, width, top + size + 5 * line)
        for number, row in enumerate(rows):
            left = MARGIN + number * wide
            _write(sheet, left, top, row.method)
            _put(sheet, left, top + line, row.edits[step], heading.attribute, size)
        sheets.append(sheet)
    return [*sheets, *sheets[-2:0:-1]]


def encoded(sheets: Sequence[Image.Image], suffix: str) -> bytes:
    """The bytes of a file `.png`, `.webp` or `.gif`; several pictures move."""
    data = io.BytesIO()
    if len(sheets) == 1:
        sheets[0].save(data, format=suffix.removeprefix("."), **({"quality": QUALITY} if suffix == ".webp" else {}))
        return data.getvalue()
    milliseconds = min(SLOWEST, 2 * SWEEP // len(sheets))
    options = {"save_all": True, "append_images": list(sheets[1:]), "duration": milliseconds, "loop": 0}
    if suffix == ".webp":
        options |= {"quality": QUALITY, "method": 4, "kmax": 1}  # whole frames: none shows a trace of the one before
    sheets[0].save(data, format=suffix.removeprefix("."), **options)
    return data.getvalue()


def reading(attribute: str, value: float) -> str:
    """A value in [0, 1] of an evaluated attribute, in its unit where it has one.

    >>> reading("age", 0.4), reading("age", 0.01), reading("expression", 0.4)
    ('30 years', '1 year', '0.40')
    """
    limits = get(EVALUATED[attribute])
    if limits.unit == "1":
        return f"{value:.2f}"
    number = f"{limits.low + value * (limits.high - limits.low):.0f}"
    return f"{number} {limits.unit}{'' if number in ('1', '-1') else 's'}"


def _title(heading: Heading, rows: Sequence[EditedRow], width: int) -> list[tuple[str, Colour]]:
    """The lines above all rows, each with its colour; none is wider than `width` pixels."""
    start = rows[0].edits[0].start_value
    first = (
        f"{heading.attribute}, face {heading.face}: {heading.attribute} {reading(heading.attribute, start)} unedited"
    )
    second = f"{heading.run}. Attribute by scorer B; identity distance to the unedited face by recognizer B."
    return [(text, INK) for text in _wrapped(first, width)] + [(text, FAINT) for text in _wrapped(second, width)]


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` pixels; a longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _sheet(title: Sequence[tuple[str, Colour]], width: int, height: int) -> Image.Image:
    """White, with margins around (width, height) and the title's lines at the top."""
    sheet = Image.new("RGB", (width + 2 * MARGIN, height + MARGIN), "white")
    for number, (text, ink) in enumerate(title):
        _write(sheet, MARGIN, MARGIN + number * _line(), text, ink)
    return sheet


def _put(sheet: Image.Image, left: int, top: int, edit: EditedFace, attribute: str, size: int) -> None:
    """One picture and what is known of it."""
    picture = edit.picture.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    sheet.paste(picture, (left, top))
    lines = [
        (f"strength {edit.strength:+.2f}", INK),
        (f"{attribute} {reading(attribute, edit.value)}", INK),
        (f"identity {edit.identity:.2f}", INK),
    ]
    if not edit.detected:
        lines.append(("no face found", WARNING))
    for number, (text, ink) in enumerate(lines):
        _write(sheet, left, top + size + number * _line(), text, ink)


def _write(sheet: Image.Image, left: int, top: int, text: str, ink: Colour = INK) -> None:
    ImageDraw.Draw(sheet).text((left, top), text, fill=ink, font=_font())


def _width(text: str) -> int:
    return round(_font().getlength(text))


def _line() -> int:
    return LETTERS + 4


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(LETTERS)
