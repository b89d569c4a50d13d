"""The folder of this machine in which weight files lie: what is there, and whether it is what it should be.

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
from pipeline.settings.downloads import Downloads, load_downloads
from pipeline.storage.files import file_sha256, sync
from pipeline.weights.holding import held
from pipeline.weights.marks import is_marked
from pipeline.weights.records import RECORDS, Record, read_records, write_record
from pipeline.weights.table import Weight, find, read_table
from pipeline.weights.telling import what_to_do

log = logging.getLogger("latentbench")

VARIABLE = "LATENTBENCH_WEIGHTS"
PRESENT, UNVERIFIED, MISSING, WRONG = "present", "unverified", "missing", "wrong"
STAND_IN = "stand-in"
CHECKOUT = Path(__file__).resolve().parents[2]


class WrongFileError(WeightsError):
    """A file that is not the one that its entry or the lock file asks for; it is never placed or used."""


@dataclass(frozen=True)
class Standing:
    """What is known of one file here. `state`: present (hashed, and as it should be, and unchanged since),
    unverified (there, but not hashed since it changed, or never recorded), missing, wrong, or stand-in (a file that we
    made in the shape of the published one, unchanged since; it never counts as present).

    `size` is that on disk, 0 if missing; `partial` the bytes of an unfinished download; `told` why it is not present.
    """

    weight: Weight
    path: Path
    state: str
    size: int = 0
    partial: int = 0
    sha256: str = ""
    told: str = ""


def weights_folder(setting: str = "") -> Path:
    """Where weight files lie: $LATENTBENCH_WEIGHTS, then the setting, then the user's cache folder; absolute.

    The cache folder is $XDG_CACHE_HOME/latentbench/weights, or ~/.cache/latentbench/weights. Raises ConfigError for a
    folder within the checkout or the installed package, where weights of other people never lie, for a file, and where
    the user has no home folder.
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
            f"The weights folder {folder} lies within {CHECKOUT}: expected one outside of the code, so that nobody "
            f"commits or ships other people's files. Set {VARIABLE}, or [weights] folder in luigi.cfg."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            f"The weights folder {folder} is a file: expected a folder. Set {VARIABLE}, or [weights] folder in "
            "luigi.cfg."
        )
    return folder


def open_store(settings: Downloads | None = None) -> Store:
    """The store of this machine, by environment and luigi.cfg. Raises ConfigError."""
    settings = settings or load_downloads()
    return Store(weights_folder(settings.folder), read_table())


class Store:
    """Weight files in one folder, each under its published name, and the lock file of their hashes."""

    def __init__(self, folder: Path, table: Mapping[str, Weight]) -> None:
        self.folder = folder
        self.table = dict(table)
        self._hashes: dict[tuple[str, int, int, int], str] = {}

    def weight(self, name: str) -> Weight:
        """The entry of a name. Raises UnknownNameError."""
        return find([name], self.table)[0]

    def path(self, weight: Weight) -> Path:
        """Where the file of an entry lies, or belongs; always directly in the folder."""
        return self.folder / weight.file

    def partial(self, weight: Weight) -> Path:
        """Where an unfinished download of an entry lies."""
        return self.folder / f".{weight.file}.part"

    def held(self, weight: Weight, wait: float) -> AbstractContextManager[None]:
        """The exclusive right to write the file of an entry. Raises BusyError after `wait` seconds."""
        return held(self.folder / f".{weight.file}.lock", weight.name, wait)

    def require(self, name: str) -> Path:
        """The path of a file that was hashed and found right, or of a stand-in that is as it was made.

        Whoever prints numbers says which of the two it was (`standing`). Raises UnknownNameError, and WeightsError that
        says name, URL, size and what to do if the file is missing, is not the recorded one, or was put there by hand
        and never taken.
        """
        standing = self.verify(self.weight(name))
        if standing.state not in (PRESENT, STAND_IN):
            raise WeightsError(standing.told)
        return standing.path

    def verify(self, weight: Weight) -> Standing:
        """Hash a file, once per process while it does not change, and compare it with table and lock file."""
        return self._standing(weight, hashing=True)

    def standing(self, weight: Weight) -> Standing:
        """What is known of a file without hashing it."""
        return self._standing(weight, hashing=False)

    def expected(self, weight: Weight) -> str:
        """The sha256 that a file must have: the table's, else the recorded one, else empty."""
        record = read_records(self.folder).get(weight.name)
        return weight.sha256 or (record.sha256 if record and record.file == weight.file else "")

    def place(self, weight: Weight, arrived: Path, source: str) -> Standing:
        """Check a complete file and put it into its place by one rename, after its bytes reached the disk.

        Call with the lock held. Another file in its place is set aside as FILE.wrong. Raises WrongFileError, with both
        hashes: then nothing is changed, and `arrived` is left where it is.
        """
        _check_mark(weight, arrived, source)
        sha256 = self._hash(arrived)
        self._check(weight, arrived.stat().st_size, sha256, source)
        sync(arrived)
        path = self.path(weight)
        if path.exists():
            log.warning(
                "%s is another file than the one from %s: it is set aside as %s.wrong.", path, source, path.name
            )
            os.replace(path, path.with_name(f"{path.name}.wrong"))
        # The record goes first: if we die between the two, the next file of that name must be the same one.
        self._record(weight, arrived, sha256, source)
        os.replace(arrived, path)
        sync(self.folder)
        self._hashes[_identity(path)] = sha256
        return self.verify(weight)

    def adopt(self, weight: Weight) -> Standing:
        """Take a file that somebody put into its place: check it, and record its sha256. Call with the lock held.

        Raises WrongFileError if it is not the one of the table or the lock file.
        """
        path = self.path(weight)
        _check_mark(weight, path, str(path))
        sha256 = self._hash(path)
        self._check(weight, path.stat().st_size, sha256, str(path))
        self._record(weight, path, sha256, str(path))
        return self.verify(weight)

    def stand_in(self, weight: Weight, arrived: Path) -> Standing:
        """Put a stand-in into the place of an entry and record it as one. Call with the lock held.

        Raises WeightsError if there is a file that is no stand-in: the two never share a folder.
        """
        record = read_records(self.folder).get(weight.name)
        if self.path(weight).exists() and not (record and record.stand_in):
            raise WeightsError(
                f"{self.path(weight)} is no stand-in and stays as it is: stand-ins belong into a folder of their own."
            )
        sync(arrived)
        sha256, status = self._hash(arrived), arrived.stat()
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
                f"file "
                f"{weight.file} of {weight.url}?"
            )
        if weight.sha256_start and not sha256.startswith(weight.sha256_start):
            raise WrongFileError(
                f"{weight.name}: {source} has sha256 {sha256}, expected one that starts with {weight.sha256_start}. "
                f"It was "
                f"not taken. Get {weight.file} again from {weight.url}."
            )
        expected = self.expected(weight)
        if not expected or sha256 == expected:
            return
        if weight.sha256:
            raise WrongFileError(
                f"{weight.name}: {source} has sha256 {sha256}, expected {expected}. It was not taken. Get "
                f"{weight.file} "
                f"again from {weight.url}; if it came from a mirror, the mirror has another file."
            )
        record = read_records(self.folder)[weight.name]
        raise WrongFileError(
            f"{weight.name}: {source} has sha256 {sha256}, but {expected} was recorded on {record.recorded} (from "
            f"{record.source}). It was not taken: numbers of the two would not compare. If the new file is the one you "
            f"want, remove the entry {weight.name!r} from {self.folder / RECORDS} and {self.path(weight)}, and fetch "
            f"again."
        )

    def _record(self, weight: Weight, path: Path, sha256: str, source: str) -> None:
        """Record a file; one that was recorded before keeps the day and source of its first time."""
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
            told = f"Weights missing: {weight.name}, used by {weight.used_by}. {what_to_do(weight, path)}"
            return Standing(weight, path, MISSING, partial=partial, told=told)
        except OSError as error:
            told = f"{path} cannot be read: {error.strerror}."
            return Standing(weight, path, WRONG, partial=partial, told=told)
        record = read_records(self.folder).get(weight.name)
        recorded = record is not None and record.file == weight.file
        unchanged = recorded and record is not None and (record.size, record.changed) == _stamp(status)
        if record is not None and recorded and record.stand_in:
            return self._standing_in(weight, record, hashing=hashing, unchanged=unchanged, partial=partial)
        try:
            _check_mark(weight, path, str(path))
        except WrongFileError as error:
            return Standing(weight, path, WRONG, status.st_size, partial, told=f"Wrong weights: {error}")
        except OSError as error:
            told = f"{path} cannot be read: {error.strerror or error}."
            return Standing(weight, path, WRONG, status.st_size, partial, told=told)
        if not hashing:
            if unchanged and record is not None and _fits(weight, record.sha256, record.size):
                return Standing(weight, path, PRESENT, status.st_size, partial, record.sha256)
            told = f"{path} was not hashed since it came: latentbench weights verify {weight.name}"
            return Standing(weight, path, UNVERIFIED, status.st_size, partial, told=told)
        try:
            sha256 = self._hash(path)
            self._check(weight, status.st_size, sha256, str(path))
        except WrongFileError as error:
            return Standing(weight, path, WRONG, status.st_size, partial, sha256, f"Wrong weights: {error}")
        except OSError as error:
            told = f"{path} cannot be read: {error.strerror or error}."
            return Standing(weight, path, WRONG, status.st_size, partial, told=told)
        if not (recorded or weight.sha256):
            told = (
                f"{weight.name}: {path} is there, but its sha256 ({sha256}) is not published and was never recorded. "
                f"To take "
                f"the file as it is: latentbench weights fetch {weight.name}"
            )
            return Standing(weight, path, UNVERIFIED, status.st_size, partial, sha256, told)
        if not unchanged:  # put there by hand, or only touched: right all the same, and listed so from now on
            with suppress(WeightsError, BusyError):
                self._record(weight, path, sha256, str(path))
        return Standing(weight, path, PRESENT, status.st_size, partial, sha256)

    def _standing_in(self, weight: Weight, record: Record, *, hashing: bool, unchanged: bool, partial: int) -> Standing:
        """The state of a file whose record says that it is a stand-in."""
        path = self.path(weight)
        size = path.stat().st_size
        told = f"{weight.name}: {path} is a stand-in, not verified: it has the shapes of {weight.file}, no more."
        if not hashing and not unchanged:
            return Standing(weight, path, UNVERIFIED, size, partial, told=f"{path} changed since it was made.")
        sha256 = self._hash(path) if hashing else record.sha256
        if sha256 != record.sha256:
            told = (
                f"Wrong weights: {path} is not the stand-in that was made: latentbench weights stand-in makes another."
            )
            return Standing(weight, path, WRONG, size, partial, sha256, told)
        return Standing(weight, path, STAND_IN, size, partial, sha256, told)

    def _hash(self, path: Path) -> str:
        key = _identity(path)
        if key not in self._hashes:
            self._hashes[key] = file_sha256(path)
        return self._hashes[key]


def _check_mark(weight: Weight, path: Path, source: str) -> None:
    """Raise WrongFileError for a file that says of itself that it is a stand-in, but is not recorded as one."""
    if is_marked(path):
        raise WrongFileError(
            f"{weight.name}: {source} is a stand-in, made by `latentbench weights stand-in` to try the machinery: its "
            f"numbers mean nothing. It was not taken. Get {weight.file} from {weight.url}."
        )


def _fits(weight: Weight, sha256: str, size: int) -> bool:
    """Whether a record still agrees with the table, which a newer version of the package may have changed."""
    return weight.sha256 in ("", sha256) and sha256.startswith(weight.sha256_start) and weight.size in (0, size)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _identity(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns, status.st_ino
