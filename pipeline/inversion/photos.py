"""Photographs from untrusted files: upright, RGB and of limited size, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from pipeline.errors import PhotoError
from pipeline.images import from_uint8
from pipeline.pictures import opened, upright

LARGEST_SIDE = 4096  # in pixels; larger photographs are reduced by averaging
SMALLEST_SIDE = 32


def read_photo(path: Path) -> Tensor:
    """A photograph as (3, H, W) float32 in [-1, 1], decoded by `pipeline.pictures`.

    The size is checked before anything is decoded. Raises PhotoError for a file that is not a readable picture of at
    least SMALLEST_SIDE pixels a side.
    """
    with opened(path) as picture:
        if min(picture.size) < SMALLEST_SIDE:
            raise PhotoError(
                f"it is {picture.width} x {picture.height} pixels, expected at least {SMALLEST_SIDE} a side."
            )
        return from_uint8(np.array(upright(picture, LARGEST_SIDE))[None])[0]
