"""The store: this machine's folder of weight files, with the state and the verification of each file.

store = open_store()
path = store.require("inception")     # hashed before its first use in this process
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import BusyError, ConfigError, WeightsError
from pipeline.settings.downloads import VARIABLE, Downloads, load_downloads
from pipeline.storage.files import file_sha256, sync
from pipeline.weights.archives import Archive
from pipeline.weights.marks import is_marked
from pipeline.weights.records import RECORDS, Record, held, read_records, write_record
from pipeline.weights.table import Weight, find, read_table
from pipeline.weights.telling import what_to_do

log = logging.getLogger("latentbench")

PRESENT, UNVERIFIED, MISSING, WRONG = "present", "unverified", "missing", "wrong"
STAND_IN = "stand-in"
CHECKOUT = Path(__file__).resolve().parents[2]


class WrongFileError(WeightsError):
    """A file whose size, sha256 or mark contradicts its entry or the lock file; it is never placed or used."""


@dataclass(frozen=True)
class Standing:
    """The state of a file in the store.

    `state` is one of: present (hashed, correct, and unchanged since), unverified (not hashed since it changed, or
    never recorded), missing, wrong, or stand-in (made by this program in the shapes of the published file, and
    unchanged; it never counts as present). `size` is the size on disk, 0 if missing; `partial` the bytes of an
    unfinished download; `reason` states why the file is not present, and what to do.
    """

    weight: Weight
    path: Path
    state: str
    size: int = 0
    partial: int = 0
    sha256: str = ""
    reason: str = ""


def weights_folder(setting: str = "") -> Path:
    """The folder of weight files as an absolute path: $LATENTBENCH_WEIGHTS, else the setting, else the user's cache.

    The cache is $XDG_CACHE_HOME/latentbench/weights, or ~/.cache/latentbench/weights. Raises ConfigError for a folder
    inside the checkout or the installed package, for a file, and for a user without a home folder.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "latentbench" / "weights"
    try:
        folder = Path(os.environ.get(VARIABLE) or setting or default).expanduser().absolute()
    except RuntimeError as error:  # a uid without a name, as in many containers
        raise ConfigError(
            f"The weights folder is not known: this user has no home folder. Set {VARIABLE} to a folder."
        ) from error
    if folder.resolve().is_relative_to(CHECKOUT):
        raise ConfigError(
            f"The weights folder {folder} lies within {CHECKOUT}: expected a folder outside of the code, so that "
            f"nobody commits other people's files. Set {VARIABLE}, or [weights] folder in luigi.cfg."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            f"The weights folder {folder} is a file: expected a folder. Set {VARIABLE}, or [weights] folder in "
            "luigi.cfg."
        )
    return folder


def open_store(settings: Downloads | None = None) -> Store:
    """The store in the folder that the environment or luigi.cfg names. Raises ConfigError."""
    settings = settings or load_downloads()
    return Store(weights_folder(settings.folder), read_table())


class Store:
    """Weight files in a folder, each under its published name, and the lock file with their sha256."""

    def __init__(self, folder: Path, table: Mapping[str, Weight]) -> None:
        self.folder = folder
        self.table = dict(table)
        self._hashes: dict[tuple[str, int, int, int], str] = {}

    def weight(self, name: str) -> Weight:
        """The entry of a name. Raises UnknownNameError."""
        return find([name], self.table)[0]

    def path(self, weight: Weight) -> Path:
        """The path of an entry's file, whether or not it exists; always directly in the folder."""
        return self.folder / weight.file

    def partial(self, weight: Weight) -> Path:
        """The path of an entry's unfinished download."""
        return self.folder / f".{weight.file}.part"

    def archive_path(self, archive: Archive) -> Path:
        """The path of a downloaded archive, which stays until all of its files are in the store."""
        return self.folder / f".{archive.file}"

    def held_archive(self, archive: Archive, wait: float) -> AbstractContextManager[None]:
        """The exclusive lock for an archive. Raises BusyError after `wait` seconds."""
        return held(self.folder / f".{archive.file}.lock", archive.file, wait)

    def drop_archive(self, archive: Archive) -> None:
        """Remove a downloaded archive if all of its files are in the store."""
        members = [weight for weight in self.table.values() if weight.archive == archive]
        if all(self.standing(weight).state == PRESENT for weight in members):
            self.archive_path(archive).unlink(missing_ok=True)

    def held(self, weight: Weight, wait: float) -> AbstractContextManager[None]:
        """The exclusive lock for writing an entry's file. Raises BusyError after `wait` seconds."""
        return held(self.folder / f".{weight.file}.lock", weight.name, wait)

    def require(self, name: str) -> Path:
        """The path of a file with the right sha256, or of an unchanged stand-in.

        Callers that print numbers must state which of the two it was (`standing`). Raises UnknownNameError, and
        WeightsError if the file is missing, has another sha256, or was never recorded; the text has name, URL, size and
        the command to run.
        """
        standing = self.verify(self.weight(name))
        if standing.state not in (PRESENT, STAND_IN):
            raise WeightsError(standing.reason)
        return standing.path

    def verify(self, weight: Weight) -> Standing:
        """The state of a file after hashing it. An unchanged file is hashed once per process."""
        return self._standing(weight, hashing=True)

    def standing(self, weight: Weight) -> Standing:
        """The state of a file without hashing it."""
        return self._standing(weight, hashing=False)

    def expected(self, weight: Weight) -> str:
        """The required sha256 of a file: from the table, otherwise from the lock file, otherwise empty."""
        record = read_records(self.folder).get(weight.name)
        return weight.sha256 or (record.sha256 if record and record.file == weight.file else "")

    def place(self, weight: Weight, arrived: Path, source: str) -> Standing:
        """Check a complete file, flush it to disk and move it into the store by one rename. Needs the lock.

        A different file in the store is renamed to FILE.wrong. Raises WrongFileError, with both hashes; then nothing is
        changed, and `arrived` is not moved.
        """
        _check_mark(weight, arrived, source)
        sha256 = self.sha256(arrived)
        self._check(weight, arrived.stat().st_size, sha256, source)
        sync(arrived)
        path = self.path(weight)
        if path.exists():
            log.warning("%s is not the file from %s: it is renamed to %s.wrong.", path, source, path.name)
            os.replace(path, path.with_name(f"{path.name}.wrong"))
        # The record is written first: after a crash between the two steps, the next file must be the same one.
        self._record(weight, arrived, sha256, source)
        os.replace(arrived, path)
        sync(self.folder)
        self._hashes[_identity(path)] = sha256
        return self.verify(weight)

    def adopt(self, weight: Weight) -> Standing:
        """Accept a file that the user put into the store: check it and record its sha256. Needs the lock.

        Raises WrongFileError if it contradicts the table or the lock file.
        """
        path = self.path(weight)
        _check_mark(weight, path, str(path))
        sha256 = self.sha256(path)
        self._check(weight, path.stat().st_size, sha256, str(path))
        self._record(weight, path, sha256, str(path))
        return self.verify(weight)

    def stand_in(self, weight: Weight, arrived: Path) -> Standing:
        """Move a stand-in for an entry into the store and record it as a stand-in. Needs the lock.

        Raises WeightsError if the store holds a file that is not a stand-in: the two never share a folder.
        """
        record = read_records(self.folder).get(weight.name)
        if self.path(weight).exists() and not (record and record.stand_in):
            raise WeightsError(
                f"{self.path(weight)} is not a stand-in and was left unchanged: choose another folder for stand-ins."
            )
        sync(arrived)
        sha256, status = self.sha256(arrived), arrived.stat()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        made = Record(weight.file, sha256, status.st_size, "made here", now, status.st_mtime_ns, stand_in=True)
        write_record(self.folder, weight.name, made)
        os.replace(arrived, self.path(weight))
        sync(self.folder)
        return self.verify(weight)

    def _check(self, weight: Weight, size: int, sha256: str, source: str) -> None:
        if weight.size and size != weight.size:
            raise WrongFileError(
                f"{weight.name}: {source} has {size:,} bytes, expected {weight.size:,}. It was not taken. Is it the "
                f"file {weight.file} of {weight.url}?"
            )
        if weight.sha256_start and not sha256.startswith(weight.sha256_start):
            raise WrongFileError(
                f"{weight.name}: {source} has sha256 {sha256}, expected a sha256 that starts with "
                f"{weight.sha256_start}. It was not taken. Get {weight.file} again from {weight.url}."
            )
        expected = self.expected(weight)
        if not expected or sha256 == expected:
            return
        if weight.sha256:
            raise WrongFileError(
                f"{weight.name}: {source} has sha256 {sha256}, expected {expected}. It was not taken. Get "
                f"{weight.file} again from {weight.url}; if it came from a mirror, the mirror has another file."
            )
        record = read_records(self.folder)[weight.name]
        raise WrongFileError(
            f"{weight.name}: {source} has sha256 {sha256}, but {expected} was recorded on {record.recorded} (from "
            f"{record.source}). It was not taken: numbers of the two are not comparable. To use the new file, remove "
            f"the entry {weight.name!r} from {self.folder / RECORDS} and {self.path(weight)}, and fetch again."
        )

    def _record(self, weight: Weight, path: Path, sha256: str, source: str) -> None:
        """Record a file; a file that was recorded before keeps the date and source of its first record."""
        status = path.stat()
        before = read_records(self.folder).get(weight.name)
        if before and (before.file, before.sha256) == (weight.file, sha256):
            record = replace(before, size=status.st_size, changed=status.st_mtime_ns)
        else:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            record = Record(weight.file, sha256, status.st_size, source, now, status.st_mtime_ns)
        write_record(self.folder, weight.name, record)

    def _standing(self, weight: Weight, *, hashing: bool) -> Standing:
        path, partial = self.path(weight), 0
        with suppress(OSError):
            partial = self.partial(weight).stat().st_size
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            reason = f"Weights missing: {weight.name}, used by {weight.used_by}. {what_to_do(weight, path)}"
            return Standing(weight, path, MISSING, partial=partial, reason=reason)
        except OSError as error:
            reason = f"{path} cannot be read: {error.strerror}."
            return Standing(weight, path, WRONG, partial=partial, reason=reason)
        record = read_records(self.folder).get(weight.name)
        recorded = record is not None and record.file == weight.file
        unchanged = recorded and record is not None and (record.size, record.changed) == _stamp(status)
        if record is not None and recorded and record.stand_in:
            return self._standing_in(weight, record, hashing=hashing, unchanged=unchanged, partial=partial)
        try:
            _check_mark(weight, path, str(path))
        except WrongFileError as error:
            return Standing(weight, path, WRONG, status.st_size, partial, reason=f"Wrong weights: {error}")
        except OSError as error:
            reason = f"{path} cannot be read: {error.strerror or error}."
            return Standing(weight, path, WRONG, status.st_size, partial, reason=reason)
        if not hashing:
            if unchanged and record is not None and _fits(weight, record.sha256, record.size):
                return Standing(weight, path, PRESENT, status.st_size, partial, record.sha256)
            reason = f"{path} was not hashed since it came: latentbench weights verify {weight.name}"
            return Standing(weight, path, UNVERIFIED, status.st_size, partial, reason=reason)
        try:
            sha256 = self.sha256(path)
            self._check(weight, status.st_size, sha256, str(path))
        except WrongFileError as error:
            return Standing(weight, path, WRONG, status.st_size, partial, sha256, f"Wrong weights: {error}")
        except OSError as error:
            reason = f"{path} cannot be read: {error.strerror or error}."
            return Standing(weight, path, WRONG, status.st_size, partial, reason=reason)
        if not (recorded or weight.sha256):
            reason = (
                f"{weight.name}: {path} is there, but its sha256 ({sha256}) is not published and was never recorded. "
                f"To accept the file unchecked: latentbench weights fetch {weight.name}"
            )
            return Standing(weight, path, UNVERIFIED, status.st_size, partial, sha256, reason)
        if not unchanged:  # copied by hand, or only touched: the sha256 is right, so listings need not hash it again
            with suppress(WeightsError, BusyError):
                self._record(weight, path, sha256, str(path))
        return Standing(weight, path, PRESENT, status.st_size, partial, sha256)

    def _standing_in(self, weight: Weight, record: Record, *, hashing: bool, unchanged: bool, partial: int) -> Standing:
        """The state of a file that is recorded as a stand-in."""
        path = self.path(weight)
        size = path.stat().st_size
        reason = f"{weight.name}: {path} is a stand-in, not verified: it has the shapes of {weight.file}, no more."
        if not hashing and not unchanged:
            return Standing(weight, path, UNVERIFIED, size, partial, reason=f"{path} changed since it was made.")
        sha256 = self.sha256(path) if hashing else record.sha256
        if sha256 != record.sha256:
            reason = (
                f"Wrong weights: {path} is not the stand-in that was made: latentbench weights stand-in makes another."
            )
            return Standing(weight, path, WRONG, size, partial, sha256, reason)
        return Standing(weight, path, STAND_IN, size, partial, sha256, reason)

    def sha256(self, path: Path) -> str:
        """The sha256 of a file; an unchanged file is hashed once per process."""
        key = _identity(path)
        if key not in self._hashes:
            self._hashes[key] = file_sha256(path)
        return self._hashes[key]


def _check_mark(weight: Weight, path: Path, source: str) -> None:
    """Raise WrongFileError for a file that is marked as a stand-in, but not recorded as one."""
    if is_marked(path):
        raise WrongFileError(
            f"{weight.name}: {source} is a stand-in, made by `latentbench weights stand-in` for trying the program: "
            f"its numbers mean nothing. It was not taken. Get {weight.file} from {weight.url}."
        )


def _fits(weight: Weight, sha256: str, size: int) -> bool:
    """Whether a record still agrees with the table, which a newer version of the package may have changed."""
    return weight.sha256 in ("", sha256) and sha256.startswith(weight.sha256_start) and weight.size in (0, size)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _identity(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns, status.st_ino
