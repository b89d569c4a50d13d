"""Ctrl-C and SIGTERM: the run stops cleanly, says so, leaves no process, and the same command completes it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.ground import Ground, lost, published
from benchmarks.faults.outcome import Case, Fault, Verdict, verdict
from benchmarks.faults.processes import Command

# Python ends by the signal itself, which shells call 130 too, where Ctrl-C met text that is executed (a dataclass).
INTERRUPTED = (130, -signal.SIGINT)
STOPS_WITHIN = 30.0, 0.7  # seconds, or the share of an undisturbed run's on a machine that is slow
# What is waited for, the name of its moment first; then up to `SCATTER` seconds at random.
MOMENTS: dict[str, Callable[[Command, Path], object]] = {
    "modules-are-imported": lambda command, outputs: "_hashlib" in command.maps(),
    "settings-are-read": lambda command, outputs: "libarrow" in command.maps(),
    "dask-begins": lambda command, outputs: command.workers(),
    "workers-compute": lambda command, outputs: list(outputs.glob("stages/rates/*")),
    "near-the-end": lambda command, outputs: list(outputs.glob("stages/rating/*")),
}
SCATTER = 0.3  # seconds


def ctrl_c(command: Command) -> None:
    """As a terminal does: to every process of the group."""
    command.send(signal.SIGINT, group=True)


def ctrl_c_twice(command: Command) -> None:
    """By somebody impatient."""
    ctrl_c(command)
    time.sleep(0.3)
    ctrl_c(command)


def sigterm(command: Command) -> None:
    """As systemd, Slurm and Kubernetes do: to the first process."""
    command.send(signal.SIGTERM)


def sigterm_to_all(command: Command) -> None:
    """As a container's end does: to every process."""
    command.send(signal.SIGTERM, group=True)


STOPS: dict[str, tuple[str, Callable[[Command], None]]] = {
    "ctrl-c": ("Ctrl-C", ctrl_c),
    "ctrl-c-twice": ("Ctrl-C twice", ctrl_c_twice),
    "sigterm": ("SIGTERM to the parent", sigterm),
    "sigterm-all": ("SIGTERM to every process", sigterm_to_all),
}


def faults() -> list[Fault]:
    """A fault for each way to stop a run."""
    return [Fault(name, f"{title}: status 130, no traceback, no process left", _cases(name, stop))
            for name, (title, stop) in STOPS.items()]  # fmt: skip


def _cases(name: str, stop: Callable[[Command], None]) -> Callable[[Ground], Iterator[Case]]:
    def cases(ground: Ground) -> Iterator[Case]:
        for moment in MOMENTS:
            yield Case(moment, partial(_stopped, name=name, stop=stop, moment=moment))

    return cases


def _stopped(ground: Ground, *, name: str, stop: Callable[[Command], None], moment: str) -> Verdict:
    """Stop a run at a moment; the last stop is followed by a run that must complete."""
    rng, outputs = ground.random(name, moment), ground.late(name)
    before = published(outputs)
    command = ground.start("run", outputs)
    command.wait_for(lambda: MOMENTS[moment](command, outputs))
    if not command.wait(rng.uniform(0.0, SCATTER)):
        return Verdict(0, 0, notes=("the run was complete before", *command.end().faults([0])))
    stop(command)
    ended = command.end(max(STOPS_WITHIN[0], STOPS_WITHIN[1] * ground.seconds))
    faults = ended.faults(INTERRUPTED)
    if moment == list(MOMENTS)[-1]:
        faults += ground.resumed(outputs)
    return verdict(faults, lost(before, outputs))
