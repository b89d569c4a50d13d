"""Which pictures lie in a folder, and the sha256 of a label file."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import LabelsError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # what Pillow may take a file for, whatever its suffix


def pictures_in(folder: Path) -> list[str]:
    """Paths of all pictures below a folder, relative to it, with /, sorted. Raises LabelsError.

    Hidden files are left aside, such as the `._00000.png` that macOS puts beside 00000.png on other file systems.
    """
    if not folder.is_dir():
        raise LabelsError(f"--images {folder}: expected a folder of pictures, found {_what(folder)}.")
    found = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        below = Path(place).relative_to(folder)
        shown = [name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        found += [(below / name).as_posix() for name in shown]
    if not found:
        raise LabelsError(
            f"--images {folder}: expected pictures ({', '.join(SUFFIXES)}) in it or below it, found none."
        )
    return sorted(found)


def by_stem(pictures: list[str]) -> dict[str, str]:
    """Pictures by their name without folder and suffix. Raises LabelsError if two share one."""
    found: dict[str, str] = {}
    for picture in pictures:
        stem = Path(picture).stem
        if stem in found:
            raise LabelsError(
                f"Two pictures are named {stem}: {found[stem]} and {picture}. Give --images the folder of one size or "
                "kind of picture alone."
            )
        found[stem] = picture
    return found


def require_file(path: Path, what: str) -> None:
    """Raises LabelsError unless the path is a file."""
    if not path.is_file():
        raise LabelsError(f"--labels {path}: expected {what}, found {_what(path)}.")


def _what(path: Path) -> str:
    return "a folder" if path.is_dir() else "a file" if path.exists() else "nothing there"
