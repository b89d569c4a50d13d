"""The mark inside stand-ins, which distinguishes them from published files in every folder.

Stand-ins for published files are zip archives of torch; the mark is an additional member, which torch ignores.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

from pipeline.settings.paths import open_regular

MARK = "latentbench-stand-in"
MAGIC = b"PK\x03\x04"


def mark(file: IO[bytes], note: str) -> None:
    """Mark a file of torch as a stand-in, with a note. The same file and note give the same bytes."""
    with zipfile.ZipFile(file, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(zipfile.ZipInfo(f"{folder}/{MARK}"), note)


def is_marked(path: Path) -> bool:
    """Whether a file has the mark. Raises OSError if it cannot be read."""
    with open_regular(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
        try:
            with zipfile.ZipFile(file) as archive:
                return any(name.endswith(f"/{MARK}") for name in archive.namelist())
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
            return False
