"""Photographs from files of other people: upright, RGB, of a bearable size, or refused with the reason."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pipeline.errors import PhotoError
from pipeline.images import from_uint8

# Pixel formats alone: Pillow's EPS reader, say, would hand the file to an interpreter.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
LARGEST_SIDE = 4096  # larger photographs are averaged down to it
SMALLEST_SIDE = 32
DEEP = ("I", "F")  # modes of more than 8 bits a channel, which Pillow would cut off at 255


def read_photo(path: Path) -> Tensor:
    """A photograph as (3, H, W) float32 in [-1, 1], turned upright by its EXIF orientation.

    Transparency is laid on white; colour profiles are ignored, as if every photograph were sRGB. Nothing is decoded
    before its size is known: files that would unpack to more than Pillow's `MAX_IMAGE_PIXELS` are refused. Raises
    PhotoError for what is no readable picture of at least SMALLEST_SIDE pixels a side.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                return _pixels(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS:,} pixels" if Image.MAX_IMAGE_PIXELS else "Pillow's limit"
        raise PhotoError(f"it would unpack to more than {limit}: reduce it first, if you trust the file.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"it is no picture of the formats {', '.join(FORMATS)}.") from error
    except FileNotFoundError as error:
        raise PhotoError("there is no such file.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for damaged files
        raise PhotoError(f"it cannot be read as a picture: {error}") from error


def _pixels(picture: Image.Image) -> Tensor:
    if picture.mode in DEEP or picture.mode.startswith("I;"):
        raise PhotoError(f"its pixels are of mode {picture.mode}, expected 8 bits a channel: convert it first.")
    if min(picture.size) < SMALLEST_SIDE:
        raise PhotoError(f"it is {picture.width} x {picture.height} pixels, expected at least {SMALLEST_SIDE} a side.")
    if picture.format == "JPEG":
        picture.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
    upright: Image.Image = ImageOps.exif_transpose(picture)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    upright = upright.convert("RGB")
    upright.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BOX)
    return from_uint8(np.array(upright)[None])[0]
