"""The pictures in a folder, and the sha256 of a label file."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import LabelsError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # formats that Pillow may recognise, independent of the suffix


def pictures_in(folder: Path) -> list[str]:
    """Sorted paths of all pictures below a folder, relative to it, with /. Raises LabelsError without any picture.

    Hidden files are ignored, such as the `._00000.png` that macOS adds to 00000.png on other file systems.
    """
    if not folder.is_dir():
        raise LabelsError(f"--images {folder}: expected a folder of pictures, found {_what(folder)}.")
    pictures = []
    for directory, folders, names in os.walk(folder):
        folders.sort()
        below = Path(directory).relative_to(folder)
        visible = [name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        pictures += [(below / name).as_posix() for name in visible]
    if not pictures:
        raise LabelsError(
            f"--images {folder}: expected pictures ({', '.join(SUFFIXES)}) in it or below it, found none."
        )
    return sorted(pictures)


def by_stem(pictures: list[str]) -> dict[str, str]:
    """Pictures by name without folder and suffix. Raises LabelsError if two pictures have the same name."""
    by_name: dict[str, str] = {}
    for picture in pictures:
        stem = Path(picture).stem
        if stem in by_name:
            raise LabelsError(
                f"Two pictures are named {stem}: {by_name[stem]} and {picture}. Give --images a folder with one size "
                "or kind of picture only."
            )
        by_name[stem] = picture
    return by_name


def require_file(path: Path, what: str) -> None:
    """Raise LabelsError unless the path is a file."""
    if not path.is_file():
        raise LabelsError(f"--labels {path}: expected {what}, found {_what(path)}.")


def _what(path: Path) -> str:
    return "a folder" if path.is_dir() else "a file" if path.exists() else "nothing there"
