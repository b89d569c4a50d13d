"""Pictures from files of other people: opened without executing or unpacking anything, or refused with the reason.

One decoding for photographs to invert and for pictures to train on: turned upright by EXIF, transparency laid on white,
colour profiles ignored, as if every picture were sRGB.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import PhotoError
from pipeline.settings.paths import open_regular

# Pixel formats alone: Pillow's EPS reader, say, would hand the file to an interpreter.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
DEEP = ("I", "F")  # modes of more than 8 bits a channel, which Pillow would cut off at 255

_headers = threading.Lock()  # of the warnings' filters, which threads share


@contextmanager
def opened(path: Path, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """A picture whose header alone was read: its size is known and bearable, and its channels have 8 bits.

    Raises PhotoError for what is no such picture, and for what goes wrong while its pixels are read inside the block.
    A file that would unpack to more than Pillow's `MAX_IMAGE_PIXELS` is refused.
    """
    try:
        with open_regular(path) as file, _read_header(file, formats) as picture:
            if picture.mode in DEEP or picture.mode.startswith("I;"):
                raise PhotoError(f"its pixels are of mode {picture.mode}, expected 8 bits a channel: convert it first.")
            yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS:,} pixels" if Image.MAX_IMAGE_PIXELS else "Pillow's limit"
        raise PhotoError(f"it would unpack to more than {limit}: reduce it first, if you trust the file.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"it is no picture of the formats {', '.join(formats)}.") from error
    except FileNotFoundError as error:
        raise PhotoError("there is no such file.") from error
    except IsADirectoryError as error:
        raise PhotoError(f"it is a folder: name the pictures in it, such as {path}/*") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for damaged files
        raise PhotoError(f"it cannot be read as a picture: {error}") from error


def why_not(path: Path) -> str:
    """Why a file cannot be a picture, by its header alone; empty if it may be one."""
    try:
        with opened(path):
            return ""
    except PhotoError as error:
        return str(error)


def _read_header(file: BufferedReader, formats: tuple[str, ...]) -> Image.Image:
    with _headers, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(file, formats=formats)


def upright(picture: Image.Image, largest: int, *, square: bool = False) -> Image.Image:
    """The picture's pixels in RGB, turned upright; averaged down to at most `largest` pixels a side.

    `square` cuts out the middle square first. Call it inside `opened`, which tells what is wrong with a damaged file.
    """
    if picture.format in ("JPEG", "MPO"):
        picture.draft("RGB", (largest, largest))
    ImageOps.exif_transpose(picture, in_place=True)
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    shown = picture if picture.mode == mode else picture.convert(mode)
    if square:
        side = min(shown.size)
        left, top = (shown.width - side) // 2, (shown.height - side) // 2
        if shown.size != (side, side):
            shown = shown.crop((left, top, left + side, top + side))
    shown.thumbnail((largest, largest), Image.Resampling.BOX)
    if mode == "RGBA":
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    return shown
