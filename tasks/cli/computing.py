"""A task and all that it requires, computed through Luigi, with our messages in place of its log."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline.chain.links import Chain
from pipeline.chain.work import SCORES
from pipeline.errors import BusyError, ClusterError, LatentbenchError, StageError
from pipeline.planning.plan import check_machine, plan
from pipeline.planning.run_board import RunBoard
from pipeline.planning.time_left import TimeLeft
from pipeline.report.seconds import print_phases, print_stages
from pipeline.settings.settings import Settings
from pipeline.storage.run_log import recording
from pipeline.storage.runs import alone
from tasks.base import RunTask, StageTask
from tasks.cli.consoles import err, out
from tasks.cli.streams import OutputError, ReaderLeftError
from tasks.luigi_apart import LuigiRunResult, LuigiStatusCode, configure_logging, luigi, retcode

UNFULFILLED = "Unfulfilled dependenc"  # begins Luigi's message that what a task requires has vanished


@dataclass
class Recorder:
    """What happened to each task of a run: seconds if it was computed, the error if it failed.

    board: what shows the run while it computes. named: whether each task is named as it begins.
    """

    board: RunBoard
    named: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    by_phase: dict[str, float] = field(default_factory=dict)
    errors: list[tuple[str, BaseException]] = field(default_factory=list)
    started: float = 0.0
    running: str = ""  # the task that began last
    gone: bool = False  # the Dask cluster failed: what follows fails alike, which is said once

    def start(self, task: luigi.Task) -> None:
        """A task begins."""
        self.started, self.running = time.perf_counter(), task.task_id
        self.board.began(_titles(task))
        title = getattr(task, "title", "")
        if title and self.named and not self.gone:
            err.print(f"[bold]{escape(title)}[/]", highlight=False)

    def success(self, task: luigi.Task) -> None:
        """A task is done."""
        self._spent(task, getattr(task, "title", ""))
        self.board.ended(_titles(task), time.perf_counter() - self.started)

    def _spent(self, task: luigi.Task, title: str) -> None:
        if title:
            seconds = time.perf_counter() - self.started
            phase = task.link.phase if isinstance(task, StageTask) else SCORES
            self.seconds[title] = seconds
            self.by_phase[phase] = self.by_phase.get(phase, 0.0) + seconds

    def failure(self, task: luigi.Task, error: BaseException) -> None:
        """A task failed, or could not be asked whether it is complete: say why."""
        title = getattr(task, "title", "") or task.get_task_family()
        if isinstance(error, RuntimeError) and str(error).startswith(UNFULFILLED):
            error = StageError(
                "A stage that it reads was there and is not any more: was it removed or damaged, or `outputs` renamed, "
                "while this ran? Run again."
            )
        self.errors.append((title, error))
        if self.gone and isinstance(error, ClusterError):
            return
        self.gone = isinstance(error, ClusterError)
        if self.running == task.task_id:
            self._spent(task, f"{title} (failed)")
        err.print(f"[bold red]failed[/] {escape(f'{title}: {error}')}", highlight=False, soft_wrap=True)
        if not isinstance(error, LatentbenchError):  # a fault of ours: the trace helps to mend it
            err.print("".join(traceback.format_exception(error)), markup=False, highlight=False, soft_wrap=True)

    def listen(self) -> dict[str, Any]:
        """Luigi's events and what each calls."""
        return {
            luigi.Event.START: self.start,
            luigi.Event.SUCCESS: self.success,
            luigi.Event.FAILURE: self.failure,
            luigi.Event.BROKEN_TASK: self.failure,
        }


def _titles(task: luigi.Task) -> list[str]:
    """The stages that a task computes, as the plan calls them."""
    return [link.title for link in task.links] if isinstance(task, StageTask) else []


def compute(
    task: RunTask,
    settings: Settings,
    *,
    verbose: bool = False,
    timings: bool = False,
    console: Console = out,
    failures: list[tuple[str, BaseException]] | None = None,
) -> int:
    """Run a task and every one that it requires and that is missing; returns the exit code.

    On a terminal a block of lines shows how far it is; elsewhere nothing does. With `verbose` Luigi's log and a line or
    two for each stage take its place. The seconds by kind of stage go to `console`; with `timings` the seconds of every
    stage too. `failures` is given the tasks that failed, with their errors. Raises BusyError if another process runs
    the very same settings, and as `plan.check_machine` where the machine cannot do it.
    """
    rows = plan(task.chain)
    warning = check_machine(task.chain, rows)
    if warning:
        err.print(f"[yellow]warning[/] {escape(warning)}", highlight=False, soft_wrap=True)
    board = RunBoard(TimeLeft(rows))
    recorder = Recorder(board, named=verbose)
    began = time.perf_counter()
    level = "INFO" if verbose else "CRITICAL"
    configure_logging(level)
    with _heard(recorder), _alone(settings, task.chain), nullcontext() if verbose else board.on(err):
        result = luigi.build(
            [task],
            local_scheduler=True,
            workers=1,  # one stage at a time: the shards inside it have the cores
            detailed_summary=True,
            log_level=level,
        )
    if failures is not None:
        failures.extend(recorder.errors)
    code = exit_code(result, recorder)
    with whatever_is_printed():
        _show_seconds(recorder, time.perf_counter() - began, len(rows), timings=timings, console=console)
    return code


@contextmanager
def _heard(recorder: Recorder) -> Iterator[None]:
    """Luigi's events reach the recorder."""
    handlers = recorder.listen()
    for event, handler in handlers.items():
        RunTask.event_handler(event)(handler)
    try:
        yield
    finally:
        for event, handler in handlers.items():
            RunTask.remove_event_handler(event, handler)


@contextmanager
def whatever_is_printed() -> Iterator[None]:
    """What was computed stays computed, and the exit code says so, where stdout cannot be written."""
    try:
        yield
        sys.stdout.flush()
    except ReaderLeftError:
        pass
    except OutputError as error:
        err.print(f"{error} What was computed is kept.", markup=False, highlight=False)


@contextmanager
def _alone(settings: Settings, chain: Chain) -> Iterator[None]:
    """Hold the right to run these settings, and write their log; SIGTERM ends the run as Ctrl-C does.

    Raises BusyError.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with alone(settings, [link.stage for link in chain.links]), recording(settings):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(result: LuigiRunResult, recorder: Recorder) -> int:
    """0 for a complete run, else the code that luigi.cfg's [retcode] has for what happened."""
    codes = retcode()
    if any(isinstance(error, BusyError) for _, error in recorder.errors):
        return int(codes.already_running)
    by_status = {
        LuigiStatusCode.SUCCESS: 0,
        LuigiStatusCode.SUCCESS_WITH_RETRY: 0,
        LuigiStatusCode.FAILED: codes.task_failed,
        LuigiStatusCode.FAILED_AND_SCHEDULING_FAILED: codes.task_failed,
        LuigiStatusCode.SCHEDULING_FAILED: codes.scheduling_error,
        LuigiStatusCode.NOT_RUN: codes.not_run,
        LuigiStatusCode.MISSING_EXT: codes.missing_data,
    }
    return int(by_status[result.status])


def _show_seconds(recorder: Recorder, total: float, stages: int, *, timings: bool, console: Console) -> None:
    if not recorder.seconds:
        console.print(f"Nothing to compute: all {stages} stages are there.", highlight=False)
        return
    if timings:
        print_stages(recorder.seconds.items(), console)
    print_phases(recorder.by_phase, total, "" if timings else "each stage: latentbench report --timings", console)
