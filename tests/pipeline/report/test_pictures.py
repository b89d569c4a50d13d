"""Gallery pictures on their way into the page."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.report import pictures
from pipeline.tables.schemas import GALLERY


def png(size: int, shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (shade, 100, 50)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_large_pictures_are_reduced_and_small_ones_keep_their_size() -> None:
    for size, expected in ((300, pictures.LARGEST), (64, 64)):
        with Image.open(io.BytesIO(pictures.thumbnail(png(size, 200)))) as image:
            assert (image.format, image.size) == ("WEBP", (expected, expected))
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - [200, 100, 50]).max() < 12


def test_strips_are_by_method_attribute_and_face_with_steps_in_order() -> None:
    rows = [
        {"method": "l2l", "attribute": "age", "face_id": face, "step": step, "strength": step - 1.0}
        | {"value": 0.5, "detected": step != 2, "png": png(64, 10 * step)}
        for step in (2, 0, 1)
        for face in (4, 3)
    ]
    strips = pictures.strips_of([pa.Table.from_pylist(rows, GALLERY)])
    assert {(strip.attribute, strip.face_id) for strip in strips} == {("age", 3), ("age", 4)}
    assert [picture.strength for picture in strips[0].pictures] == [-1.0, 0.0, 1.0]
    assert [picture.detected for picture in strips[0].pictures] == [True, True, False]
