"""kill -9 at random moments: of the whole run, of its first process, of a worker; then the same command."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.faults.ground import Ground, different, lost, published
from benchmarks.faults.outcome import Case, Fault, Verdict, verdict
from benchmarks.faults.processes import Command, kill

Strike = Callable[[Command, random.Random], bool]
MOST_LIVES = 60  # of one run


def all_of_it(command: Command, rng: random.Random) -> bool:
    """Kill the run's first process and its workers at once."""
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)
    return True


def parent(command: Command, rng: random.Random) -> bool:
    """Kill the first process, in which Luigi and Dask's scheduler and nannies run; its workers must end themselves."""
    kill(command.pid)
    return True


def worker(command: Command, rng: random.Random) -> bool:
    """Kill one worker, if there is one."""
    workers = command.workers()
    if workers:
        kill(rng.choice(workers))
    return bool(workers)


TARGETS: dict[str, tuple[str, Strike]] = {
    "kill-all": ("kill -9 of the whole run, then the same command", all_of_it),
    "kill-parent": ("kill -9 of the parent, which is the scheduler too, then the same command", parent),
    "kill-worker": ("kill -9 of a worker; the run goes on", worker),
}
SHARES = {"kill-all": 0.4, "kill-parent": 0.3, "kill-worker": 0.3}  # of all kills


def faults() -> list[Fault]:
    """A fault for each target."""
    return [Fault(name, title, _cases(name)) for name, (title, _) in TARGETS.items()]


def _cases(name: str) -> Callable[[Ground], Iterator[Case]]:
    strike = TARGETS[name][1]

    def cases(ground: Ground) -> Iterator[Case]:
        """One case is a run that is killed until it is complete; as many as give so many kills."""
        left, number = max(1, round(ground.kills * SHARES[name])), 0
        while left > 0:
            case = f"run-{number:02d}"
            kills = _planned(ground, name, number, left)
            yield Case(case, partial(_killed_run, name=f"{name}-{case}", kills=kills, strike=strike))
            left -= kills
            number += 1

    return cases


def _planned(ground: Ground, name: str, number: int, left: int) -> int:
    return min(left, ground.random(name, number).randint(3, 6))


def _killed_run(ground: Ground, *, name: str, kills: int, strike: Strike) -> Verdict:
    """Strike a run `kills` times, at random moments, begin it again each time, and let it complete."""
    rng, outputs = ground.random(name), ground.empty(name) / "outputs"
    said: list[str] = []
    gone = struck = 0
    for _ in range(MOST_LIVES):
        before = published(outputs)
        command = ground.start("run", outputs)
        due = rng.uniform(0.0, ground.seconds / 2) if struck < kills else float("inf")
        while command.runs():
            if due == float("inf") or not command.wait(due):
                break
            if strike(command, rng):
                struck += 1
            due = rng.uniform(0.0, ground.seconds / 2) if struck < kills else float("inf")
        ended = command.end()
        gone += lost(before, outputs)
        said += ended.faults([0, -signal.SIGKILL]) if ended.code else _complete(ground, outputs, ended.faults([0]))
        if ended.code == 0 and struck >= kills:
            break
        if ended.code == 0:  # complete before all kills were done: the next ones strike a new run
            outputs = ground.empty(name) / "outputs"
    return _verdict(said, gone, struck)


def _complete(ground: Ground, outputs: Path, faults: list[str]) -> list[str]:
    return faults or different(outputs, ground.undisturbed)


def _verdict(said: list[str], gone: int, struck: int) -> Verdict:
    if not said:
        return verdict([], gone, struck)
    return Verdict(struck, max(0, struck - len(said)), gone, tuple(said))
