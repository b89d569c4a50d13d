"""Strips hold every picture with its scores; moving ones go to and fro."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.showing import strip
from pipeline.showing.edited_faces import EditedFace, EditedRow
from pipeline.showing.strip import Heading

HEADING = Heading("age", 3, "Run 20261120T031500Z-1a2b3c4d")
COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]


def row(method: str, *, lost: bool = False) -> EditedRow:
    edits = [
        EditedFace(Image.new("RGB", (16, 16), colour), strength, 0.5, 0.4, 0.1, not (lost and strength > 0))
        for colour, strength in zip(COLOURS, (-1.0, 0.0, 1.0), strict=True)
    ]
    return EditedRow(method, "length in W", False, tuple(edits))


def areas(sheet: Image.Image) -> list[int]:
    """How many pixels each colour has."""
    pixels = np.asarray(sheet.convert("RGB"), int)
    return [int((np.abs(pixels - colour).max(axis=-1) < 12).sum()) for colour in COLOURS]


def test_every_method_is_a_row_and_every_edit_a_picture_of_the_size() -> None:
    for count in (1, 2, 3):
        sheet = strip.drawn(HEADING, [row(f"method{number}") for number in range(count)], 96)
        assert areas(sheet) == [count * 96 * 96] * 3


def test_a_face_that_is_lost_is_named_in_red() -> None:
    def red(sheet: Image.Image) -> int:
        return int((np.abs(np.asarray(sheet, int) - strip.WARNING).max(axis=-1) < 8).sum())

    assert red(strip.drawn(HEADING, [row("a", lost=True)], 96)) > 20
    assert red(strip.drawn(HEADING, [row("a")], 96)) == 0


def test_long_names_are_not_cut_off() -> None:
    short, long = (strip.drawn(HEADING, [row(name)], 96).width for name in ("a", "a" * 200))
    assert long > short


def test_a_long_run_line_makes_no_picture_wider_but_higher() -> None:
    long = Heading("age", 3, " ".join(["words"] * 60))
    for draw in (strip.drawn, lambda *given: strip.frames(*given)[0]):
        short, high = (draw(heading, [row("a")], 96) for heading in (HEADING, long))
        assert high.width == short.width and high.height > short.height
        assert areas(high) == areas(short)


def test_frames_go_to_and_fro_with_the_methods_side_by_side() -> None:
    frames = strip.frames(HEADING, [row("a"), row("b")], 96)
    shown = [[area // 96**2 for area in areas(frame)] for frame in frames]
    assert shown == [[2, 0, 0], [0, 2, 0], [0, 0, 2], [0, 2, 0]]
    assert len({frame.size for frame in frames}) == 1


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_moving_pictures_have_every_frame_and_no_end(suffix: str) -> None:
    picture = Image.open(io.BytesIO(strip.encoded(strip.frames(HEADING, [row("a")], 96), suffix)))
    assert (picture.format, picture.n_frames, picture.info["loop"]) == (suffix[1:].upper(), 4, 0)
    for frame, expected in enumerate([0, 1, 2, 1]):
        picture.seek(frame)
        assert np.argmax(areas(picture)) == expected


def test_a_frame_shows_no_trace_of_the_one_before() -> None:
    """Decoded, it is what it would be alone."""
    sheets = strip.frames(HEADING, [row("a", lost=True)], 96)
    moving = Image.open(io.BytesIO(strip.encoded(sheets, ".webp")))
    assert len(sheets) > 1
    for number, sheet in enumerate(sheets):
        moving.seek(number)
        alone = Image.open(io.BytesIO(strip.encoded([sheet], ".webp")))
        assert np.array_equal(np.asarray(moving.convert("RGB")), np.asarray(alone.convert("RGB")))


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_still_pictures_are_of_their_suffix(suffix: str) -> None:
    picture = Image.open(io.BytesIO(strip.encoded([strip.drawn(HEADING, [row("a")], 96)], suffix)))
    assert (picture.format, getattr(picture, "n_frames", 1)) == (suffix[1:].upper(), 1)
