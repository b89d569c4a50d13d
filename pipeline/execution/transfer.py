"""Files that travel between the process of a run and workers that do not see its outputs folder.

Such a worker computes in a folder of its own, below its local directory. Its readers ask for the files that they lack,
part by part; this process sends them over Dask's connections, so that no further port is open. Every file is known by
its sha256 and fetched once. What a shard wrote travels back with its result, and this process alone writes it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CorruptShardError, StageError
from pipeline.execution.origin import Origin
from pipeline.storage.damage import remember
from pipeline.storage.files import file_sha256, replacing, write_json, write_whole
from pipeline.storage.fingerprint import bytes_sha256
from pipeline.storage.manifests import ShardRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, Worker

log = logging.getLogger("latentbench")

PART = 8 * 2**20  # bytes of a file that are sent at once
SENT_AT_ONCE = 8  # parts in the memory of this process
ASK_SECONDS = 10.0  # after which a worker asks again for a part that did not come
WAIT_SECONDS = 300.0  # without any part, after which a worker gives a file up
KEPT = 16 * 2**30  # bytes of files that a worker keeps for the shards that follow


# In the process of the run


class Courier:
    """Sends parts of files in the outputs folder's stages to the workers that ask for them, in the client's thread."""

    def __init__(self, client: Client, outputs: Path, stages: Path) -> None:
        self.client, self.outputs, self.stages = client, outputs, stages
        self._slots = asyncio.Semaphore(SENT_AT_ONCE)
        self._sending: set[asyncio.Task[None]] = set()

    async def heard(self, event: tuple[float, Any]) -> None:
        """Send what a worker asks for: (its address, topic, path in the outputs folder, first byte)."""
        task = asyncio.create_task(self._send(*event[1]))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, address: str, topic: str, name: str, offset: int) -> None:
        try:
            async with self._slots:
                part = await asyncio.to_thread(self.part, name, offset)
                sending = self.client.run(receive, topic, name, part, workers=[address], on_error="ignore")
                await asyncio.wait_for(sending, ASK_SECONDS)
        except Exception as error:  # the worker asks again, or is gone
            log.debug("%s was not sent to %s: %s", name, address, error)

    def part(self, name: str, offset: int) -> FilePart:
        """A part of a file, from a byte on; a fault in words for one that is not there, or in no stage."""
        path = (self.outputs / name).resolve()
        if not path.is_relative_to(self.stages.resolve()):
            return FilePart(offset, b"", 0, f"{name} is in no stage of {self.outputs}")
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return FilePart(offset, file.read(PART), os.fstat(file.fileno()).st_size)
        except OSError as error:
            return FilePart(offset, b"", 0, f"{path}: {error.strerror}")


def take_shard(folder: Path, record: ShardRecord, content: bytes) -> None:
    """Write a file of a stage that a worker computed in a folder of its own, and its record.

    Raises CorruptShardError if the bytes have another sha256 than the record, StageError on a full disk.
    """
    checked = ShardRecord.from_json(asdict(record))  # the name is of a file in the folder
    sha256 = bytes_sha256(content)
    if sha256 != checked.sha256:
        raise CorruptShardError(f"{record.name} came with sha256 {sha256}, expected {record.sha256}. Run again.")

    def write(path: Path) -> None:
        path.write_bytes(content)

    path, _, _ = write_whole(folder, checked.name, write)
    remember(path, sha256)
    write_json(folder, f"{checked.name}.json", asdict(checked))


# On a worker


@dataclass(frozen=True)
class FilePart:
    """A part of a file of `size` bytes, from `offset` on; or why there is none."""

    offset: int
    content: bytes
    size: int
    fault: str = ""


@dataclass
class Arrival:
    """The part that a task waits for."""

    offset: int = 0
    part: FilePart | None = None
    came: threading.Event = field(default_factory=threading.Event)

    def take(self, part: FilePart) -> None:
        """Hand a part to the task that waits; one that came before is dropped."""
        if part.offset == self.offset and self.part is None:
            self.part = part
            self.came.set()


_arrivals: dict[tuple[str, str, str], Arrival] = {}  # by worker, topic and name of the file
_fetching = threading.Lock()
_tasks: dict[Path, int] = {}  # tasks at work in a folder
_counting = threading.Lock()


def receive(topic: str, name: str, part: FilePart, dask_worker: Worker | None = None) -> None:
    """Take a part of a file; Dask calls it on the worker."""
    arrival = _arrivals.get((dask_worker.address if dask_worker else "", topic, name))
    if arrival is not None:
        arrival.take(part)


class Remote:
    """The way of one task to the outputs folder of its run, from a worker that does not see it: an `Elsewhere`."""

    def __init__(self, origin: Origin, worker: Worker) -> None:
        self.origin, self.worker = origin, worker
        self.root = Path(worker.local_directory) / "latentbench" / origin.name
        self.written: list[tuple[ShardRecord, Path]] = []

    def here(self, work: Any) -> Any:
        """The work of a stage with this worker's folder for the outputs folder, where the stage's folder is made."""
        work.stage.folder(self.root).mkdir(parents=True, exist_ok=True)
        return replace(work, settings=replace(work.settings, outputs=self.root))

    def fetch_manifest(self, path: Path) -> None:
        """As `Elsewhere.fetch_manifest`."""
        sha256 = self.origin.manifests.get(path.relative_to(self.root).as_posix())
        if sha256 is not None and not (path.is_file() and file_sha256(path) == sha256):
            self.fetch(path, sha256)

    def fetch(self, path: Path, sha256: str) -> None:
        """As `Elsewhere.fetch`."""
        name = path.relative_to(self.root).as_posix()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _fetching:
            if path.is_file() and file_sha256(path) == sha256:  # another task of this worker fetched it meanwhile
                return
            with replacing(path) as temporary:
                self._fill(temporary, name)
                came = file_sha256(temporary)
                if came != sha256:
                    raise CorruptShardError(f"{name} came with sha256 {came}, expected {sha256}. Run again.")
        remember(path, sha256)

    def wrote(self, path: Path, record: ShardRecord) -> None:
        """As `Elsewhere.wrote`."""
        self.written.append((record, path))

    def files(self) -> tuple[tuple[ShardRecord, bytes], ...]:
        """What the task wrote, to be sent with its result."""
        return tuple((record, path.read_bytes()) for record, path in self.written)

    def _fill(self, temporary: Path, name: str) -> None:
        """Write a file that comes part by part. Raises StageError for a fault and TimeoutError if nothing comes."""
        key = (self.worker.address, self.origin.topic, name)
        try:
            with temporary.open("wb") as file:
                while True:
                    arrival = _arrivals[key] = Arrival(file.tell())
                    part = self._ask(arrival, name)
                    if part.fault:
                        raise StageError(f"A worker cannot fetch {part.fault}. Run again.")
                    file.write(part.content)
                    if file.tell() >= part.size or not part.content:
                        return
        finally:
            _arrivals.pop(key, None)

    def _ask(self, arrival: Arrival, name: str) -> FilePart:
        asked = (self.worker.address, self.origin.topic, name, arrival.offset)
        deadline = time.monotonic() + WAIT_SECONDS
        while arrival.part is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} did not come from the run's process within {WAIT_SECONDS:.0f} s")
            self.worker.log_event(self.origin.topic, asked)
            arrival.came.wait(ASK_SECONDS)
        return arrival.part

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Make room for the task's files before the block, unless another task of this worker is at work."""
        base = self.root.parent
        with _counting:
            if not _tasks.get(base):
                make_room(base)
            _tasks[base] = _tasks.get(base, 0) + 1
        try:
            yield
        finally:
            with _counting:
                _tasks[base] -= 1
            for folder in {path.parent for _, path in self.written}:  # checkpoints of what is done
                for path in folder.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)


def make_room(base: Path, kept: int = KEPT) -> None:
    """Remove the oldest files below a folder until the others are at most `kept` bytes."""
    found = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in base.rglob("*") if path.is_file())
    over = sum(size for _, size, _ in found) - kept
    for _, size, path in found:
        if over <= 0:
            return
        path.unlink(missing_ok=True)
        over -= size
