"""The gallery's pictures as the page embeds them: small, and in a format of a third of the size."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from pipeline.report.contents import Picture, Strip

LARGEST = 128  # pixels on a side; pictures of larger domains are reduced
QUALITY = 90  # of WebP; these pictures are looked at, never measured


def thumbnail(png: bytes) -> bytes:
    """A PNG as WebP of at most LARGEST pixels on a side."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as original:
        image = original.convert("RGB")
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, format="WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()


def strips_of(galleries: Iterable[pa.Table]) -> tuple[Strip, ...]:
    """The strips of several methods' galleries, each a table as `schemas.GALLERY`."""
    strips = []
    for gallery in galleries:
        rows: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        for row in gallery.to_pylist():
            rows.setdefault((row["method"], row["attribute"], row["face_id"]), []).append(row)
        for (method, attribute, face), found in rows.items():
            ordered = sorted(found, key=lambda row: row["step"])
            strips.append(Strip(method, attribute, face, tuple(_picture(row) for row in ordered)))
    return tuple(strips)


def _picture(row: dict[str, Any]) -> Picture:
    return Picture(
        image=thumbnail(row["png"]),
        media_type="image/webp",
        strength=float(row["strength"]),
        value=float(row["value"]),
        detected=bool(row["detected"]),
    )
