"""Untrusted picture files: safe opening and one decoding for all, or a refusal with the reason.

Photographs for inversion and pictures for training are decoded alike: rotated by EXIF, transparency over white, colour
profiles ignored as if every picture were sRGB.
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

# Only pixel formats: Pillow's EPS reader, for example, passes the file to an interpreter.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
DEEP = ("I", "F")  # modes with more than 8 bits a channel, which Pillow would clip at 255

_headers = threading.Lock()  # guards the warning filters, which all threads share


@contextmanager
def opened(path: Path, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """Open a picture and read only its header; its channels have 8 bits and its size is within the limit.

    Raises PhotoError for any other file, for a picture of more than Pillow's `MAX_IMAGE_PIXELS`, and for damage that
    shows when the block reads the pixels.
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
        raise PhotoError(f"it is not a picture in one of the formats {', '.join(formats)}.") from error
    except FileNotFoundError as error:
        raise PhotoError("there is no such file.") from error
    except IsADirectoryError as error:
        raise PhotoError(f"it is a folder: name the pictures in it, such as {path}/*") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's errors for damaged files
        raise PhotoError(f"it cannot be read as a picture: {error}") from error


def why_not(path: Path) -> str:
    """The reason why a file's header is not the header of a usable picture; empty if it is."""
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
    """The picture in RGB, rotated upright and reduced by averaging to at most `largest` pixels a side.

    `square` crops the central square first. Call this inside `opened`, which reports damaged files.
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
