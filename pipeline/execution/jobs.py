"""One call of `shards.run_shards`: its shards, what came of each, and what is said of it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.errors import LatentbenchError, StageError
from pipeline.execution.processes import name_user, use_threads
from pipeline.progress import Display
from pipeline.settings.settings import Settings

Progress = Callable[[int, int, str], None]
ShardFunction = Callable[[Any, Any, Progress], Any]  # work, shard, progress -> what came of it
Call = tuple[Any, Any]  # work and shard: what a shard function is called with

# OSErrors of which a second try finds the same.
LASTING = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class Fault:
    """What a shard raised that nobody foresaw, in words, since not every exception can travel.

    `place` is the file and line that raised it; `passing` says that a second try may go well.
    """

    kind: str
    message: str
    place: str
    trace: str
    passing: bool

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """The fault that an exception is, while its traceback is at hand."""
        last = traceback.extract_tb(error.__traceback__)[-1:]
        place = f"{last[0].filename}, line {last[0].lineno}" if last else ""
        kind = type(error).__name__
        io = isinstance(error, OSError) and not isinstance(error, LASTING)
        passing = io or isinstance(error, MemoryError) or kind == "OutOfMemoryError"  # the last is torch's
        return cls(kind, str(error), place, "".join(traceback.format_exception(error)), passing)


@dataclass(frozen=True)
class Outcome:
    """What came of a shard: a result, an error of ours, or a fault."""

    result: Any
    seconds: float
    error: LatentbenchError | None = None
    fault: Fault | None = None


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
        self.inner: dict[int, tuple[float, str]] = {}  # share of a running shard, and its message
        self.display: Display | None = None

    def take(self, index: int, outcome: Outcome) -> None:
        """Book one shard's outcome; raises what it raised."""
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
        """Book what a running shard tells of itself."""
        if index not in self.finished:
            self.inner[index] = (min(1.0, done / total) if total else 0.0, message)

    def show(self) -> None:
        """Bring the display up to date."""
        inner = dict(self.inner)
        done = sum(self.units[index] for index in self.finished)
        done += sum(share * self.units[index] for index, (share, _) in inner.items() if index not in self.finished)
        notes = [message for _, message in inner.values() if message]
        if self.display is not None:
            self.display.update(self.before + done, notes[-1] if notes else "")

    def name(self, index: int) -> str:
        """How errors call a shard."""
        return shard_name(self.calls[index][1])

    def poisoned(self, index: int, fault: Fault) -> StageError:
        """The error of a shard that failed in a way that nobody foresaw."""
        name = self.name(index)
        place = f" (in {fault.place})" if fault.place else ""
        disk = ""
        if self.settings.machine.scheduler and fault.kind == "FileNotFoundError":
            disk = " Do all workers see the same `outputs` folder?"
        return StageError(
            f"{self.label}: shard {name} failed: {fault.kind}: {fault.message}{place}.{disk} Finished shards are kept; "
            "run again to go on with the others, or with --executor inline to debug this one."
        )


def shard_name(shard: Any) -> str:
    """How errors call a shard: its `name`, or itself in words."""
    return str(getattr(shard, "name", shard))


def compute_shard(function: ShardFunction, call: Call, threads: int, progress: Progress) -> Outcome:
    """One shard in this process, with its threads set and its time taken.

    An error of ours is in the outcome; any other is raised.
    """
    name_user()
    use_threads(threads)
    started = time.perf_counter()
    try:
        result = function(*call, progress)
    except LatentbenchError as error:
        return Outcome(None, 0.0, error)
    return Outcome(result, time.perf_counter() - started)
