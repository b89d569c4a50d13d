"""Runs that are going on: one process for the same settings, and no stage is removed while a run builds on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipeline.errors import BusyError, StageError
from pipeline.settings.settings import Settings
from pipeline.storage.files import read_json, unwritable, write_json
from pipeline.storage.locks import LOCK, held, holder_of, locked
from pipeline.storage.manifests import MANIFEST
from pipeline.storage.stages import STAGES, Stage, building

RUN, REPORT = "run", "report"  # stages without results, only locks
REGISTER = ".runs.lock"  # in the outputs folder
REGISTER_WAIT = 60.0  # seconds; it is held for an instant
BUILDS_ON = "builds_on.json"  # in a run's folder: the folders of its stages


def run_stage(settings: Settings) -> Stage:
    """The stage that is the run itself: it has no results, only the lock that keeps a second one out."""
    return Stage(RUN, 1, settings.as_json(), label=f"{settings.domain}-{settings.experiment.profile}")


@contextmanager
def alone(settings: Settings, stages: Iterable[Stage]) -> Iterator[None]:
    """Hold the right to run these settings, and say which stages the run builds on. Raises BusyError, StageError."""
    stage = run_stage(settings)
    with ExitStack() as lock:
        with registering(settings.outputs):
            try:
                builder = lock.enter_context(building(stage, settings.on(lock_wait=0.0)))
            except BusyError:
                holder = holder_of(stage.folder(settings.outputs) / LOCK) or "another process"
                raise BusyError(
                    f"The very same run is being computed by {holder}: `latentbench status` shows it."
                ) from None
            write_json(builder.folder, BUILDS_ON, {"folders": [_key(stage) for stage in stages]})
        yield


@contextmanager
def registering(outputs: Path) -> Iterator[None]:
    """Hold the right to say what a run builds on, or to take away what none does. Raises BusyError, StageError."""
    path, remedy = outputs / REGISTER, "Run again when it has ended."
    with ExitStack() as stack:
        try:
            doing = f"Stages under {outputs} are being taken away, or a run begins there,"
            stack.enter_context(locked(path, doing, wait=REGISTER_WAIT, remedy=remedy))
        except OSError as error:
            raise unwritable(path, error) from error
        yield


def builds_on(outputs: Path) -> frozenset[Path] | None:
    """The folders of the stages that runs which go on build on; None where that is not known.

    It is not where a run does not say it, or where a process that is no run of `latentbench` (Luigi's own command line)
    is computing a stage.
    """
    used: set[Path] = set()
    for _, _, folders in _running(outputs):
        if folders is None:
            return None
        used |= {outputs / STAGES / key for key in folders}
    for lock in (outputs / STAGES).glob(f"*/*/{LOCK}"):
        if lock.parent.parent.name not in (RUN, REPORT) and lock.parent not in used and holder_of(lock):
            return None
    return frozenset(used)


def _running(outputs: Path) -> Iterator[tuple[Path, str, list[str] | None]]:
    """Of every run that goes on: its folder, its process, and the stages that it builds on, None if it does not say."""
    for folder in sorted((outputs / STAGES / RUN).glob("*")):
        holder = holder_of(folder / LOCK)
        if not holder:
            continue
        needed: object = None
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError, StageError):
            needed = read_json(folder / BUILDS_ON)["folders"]
        yield folder, holder, [str(key) for key in needed] if isinstance(needed, list) else None


def invalidate(stages: Iterable[Stage], outputs: Path) -> list[Path]:
    """Remove the stages' folders, in the given order, the manifest of each first. Returns the folders that existed.

    All or none: every lock is held before the first is removed. Raises BusyError if a process is building one of
    them, or a run builds on one, and StageError if one cannot be removed.
    """

    def remove(folder: Path) -> None:
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder)

    return _taken_away(stages, outputs, remove)


def set_aside(stages: Iterable[Stage], outputs: Path, aside: Path, run: Settings) -> list[Path]:
    """Move the stages' folders below `aside`, in the given order, so that they are computed again and none is lost.

    `aside` is on the file system of the outputs. A folder that lies there from an earlier, killed call stays. The run
    of these settings may be going on, in this process. Returns the folders that existed. Raises as `invalidate`.
    """

    def move(folder: Path) -> None:
        target = aside / folder.relative_to(outputs / STAGES)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target) if not target.exists() else shutil.rmtree(folder)

    return _taken_away(stages, outputs, move, own=run_stage(run))


def _taken_away(
    stages: Iterable[Stage], outputs: Path, take: Callable[[Path], None], own: Stage | None = None
) -> list[Path]:
    """Take away every folder, or none: all locks are held before the first goes. `own`: the run that may go on."""
    present = [stage for stage in stages if stage.folder(outputs).is_dir()]
    if not present:
        return []
    with ExitStack() as locks:
        locks.enter_context(registering(outputs))  # no run begins meanwhile
        for stage in present:
            locks.enter_context(held(stage.folder(outputs), stage.title, wait=0.0))
        _check_no_run(present, outputs, own)
        for stage in present:
            folder = stage.folder(outputs)
            try:
                take(folder)
            except OSError as error:
                raise StageError(f"Cannot remove {folder}: {error.strerror} ({error.filename}).") from error
    return [stage.folder(outputs) for stage in present]


def _check_no_run(stages: list[Stage], outputs: Path, own: Stage | None) -> None:
    """Raise BusyError, naming it, if a run that is going on, other than `own`, builds on one of the stages."""
    titles = {_key(stage): stage.title for stage in stages}
    for folder, holder, needed in _running(outputs):
        if own is not None and folder == own.folder(outputs):
            continue
        # A run without a list of its stages may read any of them.
        shared = [title for key, title in titles.items() if needed is None or key in needed]
        if shared:
            raise BusyError(
                f"A run that {holder} is computing builds on {', '.join(shared[:3])}"
                f"{f' and {len(shared) - 3} more' if len(shared) > 3 else ''}. Nothing was removed. Wait for it to "
                "end (`latentbench status` shows it), or stop it with Ctrl-C or SIGTERM first."
            )


def _key(stage: Stage) -> str:
    """A stage's folder, relative to the folder of all stages."""
    return str(stage.folder(Path()).relative_to(STAGES))
