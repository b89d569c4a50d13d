"""Jobs: the shards of one call of `shards.run_shards`, their outcomes, and their progress display."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import LatentbenchError, StageError
from pipeline.execution.messages import Message
from pipeline.execution.processes import name_user, use_threads
from pipeline.progress import Display

if TYPE_CHECKING:
    from pipeline.settings.settings import Settings
    from pipeline.storage.manifests import ShardRecord

Progress = Callable[[int, int, str], None]
ShardFunction = Callable[[Any, Any, Progress], Any]  # work, shard, progress -> what came of it
Call = tuple[Any, Any]  # work and shard: what a shard function is called with

# OSErrors that a second try would repeat.
LASTING = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class Fault:
    """An unexpected exception of a shard, as text, because not every exception can be pickled.

    `place` is the file and line that raised it; `passing` means that a second try can succeed.
    """

    kind: str
    message: str
    place: str
    trace: str
    passing: bool

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """The fault for an exception with its traceback."""
        last = traceback.extract_tb(error.__traceback__)[-1:]
        place = f"{last[0].filename}, line {last[0].lineno}" if last else ""
        kind = type(error).__name__
        io = isinstance(error, OSError) and not isinstance(error, LASTING)
        passing = io or isinstance(error, MemoryError) or kind == "OutOfMemoryError"  # the last is torch's
        return cls(kind, str(error), place, "".join(traceback.format_exception(error)), passing)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a shard: a result, a LatentbenchError, or a fault.

    `files` were written on a worker that does not see the outputs folder: records and bytes. `messages` are what
    was logged in the worker meanwhile, and `worker` is its address.
    """

    result: Any
    seconds: float
    error: LatentbenchError | None = None
    fault: Fault | None = None
    files: tuple[tuple[ShardRecord, bytes], ...] = ()
    messages: tuple[Message, ...] = ()
    worker: str = ""


@dataclass
class Job:
    """One call of `run_shards`."""

    function: ShardFunction
    calls: list[Call]
    settings: Settings
    label: str
    units: list[float]
    threads: int
    keep: Callable[[Any], None] | None
    before: float = 0.0

    def __post_init__(self) -> None:
        self.results: list[Any] = [None] * len(self.calls)
        self.seconds = [0.0] * len(self.calls)
        self.finished: set[int] = set()
        self.inner: dict[int, tuple[float, str]] = {}  # running shard -> share done, and its message
        self.display: Display | None = None

    def take(self, index: int, outcome: Outcome) -> None:
        """Record a shard's outcome. Raises its error, or StageError for its fault."""
        if outcome.error is not None:
            raise outcome.error
        if outcome.fault is not None:
            raise self.poisoned(index, outcome.fault)
        self.results[index], self.seconds[index] = outcome.result, outcome.seconds
        self.finished.add(index)
        self.inner.pop(index, None)
        if self.keep is not None:
            self.keep(outcome.result)
        self.show()

    def heard(self, index: int, done: float, total: float, message: str) -> None:
        """Record the progress of a running shard."""
        if index not in self.finished:
            self.inner[index] = (min(1.0, done / total) if total else 0.0, message)

    def show(self) -> None:
        """Update the display."""
        inner = dict(self.inner)
        done = sum(self.units[index] for index in self.finished)
        done += sum(share * self.units[index] for index, (share, _) in inner.items() if index not in self.finished)
        notes = [message for _, message in inner.values() if message]
        if self.display is not None:
            self.display.ended = len(self.finished)
            self.display.update(self.before + done, notes[-1] if notes else "")

    def name(self, index: int) -> str:
        """The name of a shard in errors."""
        return shard_name(self.calls[index][1])

    def poisoned(self, index: int, fault: Fault) -> StageError:
        """The StageError for a shard with an unexpected fault."""
        name = self.name(index)
        place = f" (in {fault.place})" if fault.place else ""
        return StageError(
            f"{self.label}: shard {name} failed: {fault.kind}: {fault.message}{place}. Finished shards are kept; "
            "run again to continue with the others, or with --executor inline to debug this one."
        )


def shard_name(shard: Any) -> str:
    """The name of a shard in errors: its `name`, otherwise its text."""
    return str(getattr(shard, "name", shard))


def compute_shard(function: ShardFunction, call: Call, threads: int, progress: Progress) -> Outcome:
    """Compute a shard in this process, with the given number of threads, and measure its time.

    A LatentbenchError is returned in the outcome; any other exception is raised.
    """
    name_user()
    use_threads(threads)
    started = time.perf_counter()
    try:
        result = function(*call, progress)
    except LatentbenchError as error:
        return Outcome(None, 0.0, error)
    return Outcome(result, time.perf_counter() - started)
