"""The gallery's pictures as the page embeds them: small, in rows, in a format of a tenth of the size.

A row of tiles for each method, attribute and face is one WebP image. In rows the pictures of 64 px take up 12 to 15 %
less than one by one, and a page of 14 methods holds 450 images in place of 4,000.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.report.contents import ShownEdit, Strip
from pipeline.tables.schemas import UNEDITED

if TYPE_CHECKING:
    from PIL import Image

LARGEST = 96  # pixels on a side; pictures of larger domains are reduced, so that a full run of 14 methods takes 10 MB
QUALITY = 75  # of WebP; these pictures are looked at, never measured


def tile_of(png: bytes) -> Image.Image:
    """A PNG as an RGB picture of at most LARGEST pixels on a side."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as original:
        image = original.convert("RGB")
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image


def row_of_tiles(tiles: Sequence[Image.Image]) -> bytes:
    """Square pictures of one size next to each other, as WebP."""
    from PIL import Image

    side = tiles[0].height
    row = Image.new("RGB", (side * len(tiles), side))
    for place, tile in enumerate(tiles):
        row.paste(tile, (place * side, 0))
    buffer = io.BytesIO()
    row.save(buffer, format="WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()


def strips_of(galleries: Iterable[pa.Table]) -> tuple[Strip, ...]:
    """The strips of several methods' galleries, each a table as `schemas.GALLERY`."""
    strips = []
    for gallery in galleries:
        rows: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        for row in gallery.to_pylist():
            rows.setdefault((row["method"], row["attribute"], row["face_id"]), []).append(row)
        strips += [_strip(key, found) for key, found in rows.items()]
    return tuple(strips)


def _strip(key: tuple[str, str, int], rows: list[dict[str, Any]]) -> Strip:
    edits = sorted((row for row in rows if row["step"] != UNEDITED), key=lambda row: row["step"])
    tiles = [tile_of(row["png"]) for row in edits]
    start = next((row for row in rows if row["step"] == UNEDITED), None)
    regions = start["regions"] if start else None
    return Strip(
        *key,
        edits=tuple(
            ShownEdit(int(row["step"]), float(row["strength"]), float(row["value"]), bool(row["detected"]))
            for row in edits
        ),
        pictures=row_of_tiles(tiles),
        tile=tiles[0].height,
        unedited=row_of_tiles([tile_of(start["png"])]) if start else None,
        start_value=float(start["value"]) if start else None,
        regions=row_of_tiles([tile_of(regions)]) if regions else None,
    )
