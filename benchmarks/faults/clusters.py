"""kill -9 of the parts of a Dask cluster that a run has joined: its scheduler, a nanny, a worker."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.faults.ground import Ground, different, lost, published, until
from benchmarks.faults.outcome import Case, Fault, Verdict, verdict
from benchmarks.faults.processes import Command, kill, marked

DASK = str(Path(sys.executable).parent / "dask")
WORKERS = 2
PARTS = ("scheduler", "nanny", "worker")


class Cluster:
    """A scheduler and workers, each with its nanny, on this machine."""

    def __init__(self, folder: Path) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        said = folder / "said"
        self.scheduler = Command(
            [DASK, "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"], said
        )
        worker = [DASK, "worker", self.address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
        self.nannies = [Command(worker, said) for _ in range(WORKERS)]

    def worker_pids(self) -> list[int]:
        """The processes that compute."""
        return [pid for nanny in self.nannies for pid in nanny.workers()]

    def strike(self, part: str, rng: random.Random) -> None:
        """Kill one process of that part."""
        if part == "scheduler":
            kill(self.scheduler.pid)
        else:
            kill(rng.choice(self.worker_pids() if part == "worker" else [nanny.pid for nanny in self.nannies]))

    def close(self) -> None:
        """Kill every process of it."""
        for command in (*self.nannies, self.scheduler):
            for pid in marked(command.mark):
                kill(pid)
            command.end()


def faults() -> list[Fault]:
    """A fault for each part of a cluster."""
    return [Fault(f"cluster-{part}", f"kill -9 of a joined cluster's {part}", _cases(part)) for part in PARTS]


def _cases(part: str) -> Callable[[Ground], Iterator[Case]]:
    def cases(ground: Ground) -> Iterator[Case]:
        for number in range(2):
            yield Case(f"run-{number}", lambda ground, number=number: _struck(ground, part, number))

    return cases


def _struck(ground: Ground, part: str, number: int) -> Verdict:
    """Kill a part at a random moment. Without its scheduler the run must end, and complete on another cluster."""
    name = f"cluster-{part}-{number}"
    rng, outputs = ground.random(name), ground.late(name)
    cluster = Cluster(outputs.parent)
    try:
        until(lambda: len(cluster.worker_pids()) == WORKERS, 120)
        command = ground.start("run", outputs, "--scheduler", cluster.address)
        command.wait_for(lambda: list(outputs.glob("stages/rates/*")))
        command.wait(rng.uniform(0.0, 0.05 * ground.seconds))
        if not command.runs():
            return Verdict(0, 0, notes=("the run was complete before", *command.end().faults([0])))
        before = published(outputs)
        cluster.strike(part, rng)
        ended = command.end(ground.patience)
    finally:
        cluster.close()
    if part == "scheduler" and ended.code != 0:
        faults = ended.faults([30], "Dask scheduler") + ground.resumed(outputs)
    else:
        faults = ended.faults([0]) or different(outputs, ground.undisturbed)
    return verdict(faults, lost(before, outputs))
