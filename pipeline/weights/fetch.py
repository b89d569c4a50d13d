"""Fetching: brings a file of the table into the weights folder, from its publisher, a mirror or another folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from pipeline.errors import BusyError, ConfigError, WeightsError
from pipeline.progress import Display
from pipeline.settings.downloads import Downloads
from pipeline.storage.files import FULL_DISK
from pipeline.weights.archives import Archive
from pipeline.weights.members import extract
from pipeline.weights.packages import NoArchiveError, check, obtain
from pipeline.weights.partial import Partial
from pipeline.weights.records import RECORDS, read_records
from pipeline.weights.store import PRESENT, STAND_IN, UNVERIFIED, Standing, Store, WrongFileError
from pipeline.weights.table import Weight
from pipeline.weights.transfer import CHUNK, Target, check_room, download

log = logging.getLogger("latentbench")

THERE, FETCHED, COPIED, TAKEN = "was there", "fetched", "copied", "taken as found"


@dataclass(frozen=True)
class Fetched:
    """The state of a file after `fetch`; `how` is THERE, FETCHED, COPIED or TAKEN."""

    standing: Standing
    how: str


def address(weight: Weight, mirror: str = "") -> str:
    """The URL of a file: its publisher's URL, or the mirror's with the file's name. Raises ConfigError for a mirror
    that is not a URL.
    """
    if not mirror:
        return weight.url
    parts = urlsplit(mirror)
    if parts.scheme not in ("https", "http") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"--mirror {mirror}: expected a URL such as https://mirror.example/weights, without ? and #.")
    return f"{mirror.rstrip('/')}/{quote(weight.file)}"


def fetch(weight: Weight, store: Store, settings: Downloads, *, source: Path | None = None) -> Fetched:
    """Fetch the file of an entry into the store, check it and record it. A wrong file is never placed.

    `source` is a folder that holds the file under its published name. Without it the file is downloaded, from
    `settings.mirror` if it is set. A wrong file that is already in the store is renamed to FILE.wrong. Raises
    WeightsError, and BusyError if another process fetches the same file for longer than `settings.lock_wait` seconds.
    """
    url = address(weight, settings.mirror)
    with store.held(weight, settings.lock_wait):
        standing = store.verify(weight)
        if standing.state == PRESENT:
            _tidy(store, weight)
            return Fetched(standing, THERE)
        if standing.state == STAND_IN:
            raise WeightsError(
                f"{standing.reason} Nothing was fetched: published files and stand-ins never share a folder. Choose "
                "another folder: set LATENTBENCH_WEIGHTS, or [weights] folder."
            )
        if source is not None:
            return Fetched(_bring(weight, store, source), COPIED)
        if standing.state == UNVERIFIED:
            log.warning("%s: %s is accepted unchecked; its sha256 is %s.", weight.name, standing.path, standing.sha256)
            return Fetched(store.adopt(weight), TAKEN)
        if weight.archive is not None and not settings.mirror:  # a mirror has the file by itself
            return Fetched(_unpack(weight, weight.archive, store, settings), FETCHED)
        return Fetched(_download(weight, store, settings, url), FETCHED)


def fetch_all(
    weights: Iterable[Weight], store: Store, settings: Downloads, *, source: Path | None = None
) -> Iterator[tuple[Weight, Fetched | WeightsError | BusyError]]:
    """`fetch` of each entry, with its result or its error. An archive that could not be had is not asked for again."""
    failed: set[str] = set()
    for weight in weights:
        archive = weight.archive
        if archive is not None and archive.name in failed:
            yield (
                weight,
                WeightsError(f"{weight.name}: it is in {archive.file}, which could not be had, as said above."),
            )
            continue
        try:
            yield weight, fetch(weight, store, settings, source=source)
        except (WeightsError, BusyError) as error:
            if archive is not None and isinstance(error, NoArchiveError):
                failed.add(archive.name)
            yield weight, error


def _unpack(weight: Weight, archive: Archive, store: Store, settings: Downloads) -> Standing:
    """Place a file out of its archive, which is downloaded unless it is here and right."""
    with store.held_archive(archive, settings.lock_wait):
        path = store.archive_path(archive)
        if not _is_right(archive, path, store):
            path.unlink(missing_ok=True)
            obtain(archive, path, settings)
        standing = _place_member(weight, store, path)
        store.drop_archive(archive)
        return standing


def _is_right(archive: Archive, path: Path, store: Store) -> bool:
    try:
        check(archive, path, str(path), store.sha256(path))
    except (OSError, NoArchiveError):
        return False
    return True


def _place_member(weight: Weight, store: Store, archive: Path) -> Standing:
    arrived = _arrived(store, weight)
    check_room(store.folder, weight.size, weight.name)
    extract(weight, archive, arrived)
    return _place(weight, store, arrived, f"{weight.member} of {archive.name.removeprefix('.')}")


def _arrived(store: Store, weight: Weight) -> Path:
    return store.folder / f".{weight.file}.copy"


def _download(weight: Weight, store: Store, settings: Downloads, url: str) -> Standing:
    partial = Partial(store.partial(weight))
    target = Target(weight.name, url, weight.size, store.expected(weight))
    if not target.sha256 and not url.startswith("https://"):
        log.warning(
            "%s: no sha256 is known, and %s is not https: anybody on the network path can change the file.",
            weight.name,
            url,
        )
    resumed = bool(partial.size)
    while True:
        download(target, partial, settings)
        try:
            standing = _place(weight, store, partial.path, url)
        except WrongFileError as error:
            partial.discard()
            if not resumed:
                raise
            # The parts may come from two different files: download the whole file once more.
            log.warning("%s Its beginning was downloaded by an earlier attempt: starting over.", error)
            resumed = False
        else:
            partial.discard()
            return standing


def _bring(weight: Weight, store: Store, source: Path) -> Standing:
    """Place a file from a folder, which holds it by itself or the archive that it is in."""
    archive = weight.archive
    if archive is not None and not (source / weight.file).is_file():
        for path in (source / archive.file, source / archive.url.rpartition("/")[2]):
            if path.is_file():
                check(archive, path, str(path), store.sha256(path))
                return _place_member(weight, store, path)
    return _place(weight, store, _copy(weight, store, source), str(source / weight.file))


def _copy(weight: Weight, store: Store, source: Path) -> Path:
    """Copy a file into the store under a temporary name, not yet checked. Raises WeightsError."""
    origin, arrived = source / weight.file, _arrived(store, weight)
    if not origin.is_file():
        names = f"{weight.file} or {weight.archive.file}" if weight.archive else weight.file
        raise WeightsError(
            f"{weight.name}: expected {names} in {source}, and it is not there. It is published at {weight.url}"
        )
    if any(record.stand_in and record.file == weight.file for record in read_records(source).values()):
        raise WeightsError(
            f"{weight.name}: {origin} is a stand-in by {source / RECORDS}: its numbers mean nothing. It was not taken. "
            f"To try the program, set LATENTBENCH_WEIGHTS={source}; the published file is at {weight.url}"
        )
    size = origin.stat().st_size
    check_room(store.folder, size, weight.name)
    arrived.unlink(missing_ok=True)
    try:
        with (
            origin.open("rb") as reading,
            arrived.open("xb") as writing,
            Display(f"copy {weight.name}", size / 1e6, "MB") as display,
        ):
            done = 0
            while chunk := reading.read(16 * CHUNK):
                done += writing.write(chunk)
                display.update(done / 1e6)
    except OSError as error:
        arrived.unlink(missing_ok=True)
        full = "Disk full: " if error.errno in FULL_DISK else ""
        raise WeightsError(f"{full}{weight.name}: cannot copy {origin} to {arrived}: {error.strerror}.") from error
    return arrived


def _place(weight: Weight, store: Store, arrived: Path, source: str) -> Standing:
    """Place the arrived file in the store; a wrong file is removed."""
    try:
        return store.place(weight, arrived, source)
    except WrongFileError:
        arrived.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise WeightsError(f"{weight.name}: cannot move {arrived} into the store: {error.strerror}.") from error


def _tidy(store: Store, weight: Weight) -> None:
    """Remove the remains of an earlier attempt."""
    Partial(store.partial(weight)).discard()
    _arrived(store, weight).unlink(missing_ok=True)
    if weight.archive is not None:
        store.drop_archive(weight.archive)
