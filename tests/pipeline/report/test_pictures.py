"""Gallery pictures on their way into the page."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.report import pictures
from pipeline.report.contents import Strip
from pipeline.tables.schemas import GALLERY, UNEDITED


def png(size: int, shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (shade, 100, 50)).save(buffer, format="PNG")
    return buffer.getvalue()


def tiles(webp: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(webp)) as image:
        assert image.format == "WEBP"
        return np.asarray(image.convert("RGB")).astype(int)


def row(step: int, face: int = 3, **more: Any) -> dict[str, Any]:
    edit = {"method": "l2l", "attribute": "age", "face_id": face, "step": step, "strength": step - 1.0}
    return edit | {"value": 0.5, "detected": step != 2, "png": png(64, 60 * (step + 1))} | more


def strips(rows: list[dict[str, Any]]) -> tuple[Strip, ...]:
    return pictures.strips_of([pa.Table.from_pylist(rows, GALLERY)])


def test_large_pictures_are_reduced_and_small_ones_keep_their_size() -> None:
    for size, expected in ((300, pictures.LARGEST), (64, 64)):
        tile = pictures.tile_of(png(size, 200))
        assert (tile.mode, tile.size) == ("RGB", (expected, expected))


def test_strips_are_by_method_attribute_and_face_with_steps_in_order() -> None:
    found = strips([row(step, face) for step in (2, 0, 1) for face in (4, 3)])
    assert {(strip.attribute, strip.face_id) for strip in found} == {("age", 3), ("age", 4)}
    assert [edit.strength for edit in found[0].edits] == [-1.0, 0.0, 1.0]
    assert [edit.detected for edit in found[0].edits] == [True, True, False]
    assert found[0].tile == 64 and found[0].unedited is None and found[0].regions is None


def test_a_strip_is_one_row_of_its_pictures() -> None:
    image = tiles(strips([row(step) for step in (1, 0, 2)])[0].pictures)
    assert image.shape == (64, 192, 3)
    for step in range(3):
        tile = image[4:60, 64 * step + 4 : 64 * step + 60]
        assert np.abs(tile - [60 * (step + 1), 100, 50]).max() < 12


def test_the_unedited_face_is_no_step_of_its_strip() -> None:
    start = row(UNEDITED, value=0.25, png=png(64, 10), regions=png(64, 250))
    found = strips([start, row(0), row(1)])[0]
    assert [edit.step for edit in found.edits] == [0, 1] and found.start_value == 0.25
    assert found.unedited is not None and found.regions is not None
    assert np.abs(tiles(found.unedited) - [10, 100, 50]).max() < 12
    assert np.abs(tiles(found.regions) - [250, 100, 50]).max() < 12
