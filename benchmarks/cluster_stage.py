"""One stage of 32 shards on four workers that share no disk, while they are killed, cut off and stopped; as root.

    python -m benchmarks.cluster_stage --to FOLDER            a table, in about five minutes

The machines are those of `benchmarks.cluster`, which does the same to a whole run. Here each shard sleeps 3 s and
writes a table of 32 random codes, so that two busy cores can show it: seconds are of the clock, and 24 is the least.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.cluster import ADDRESS, ROOT, WORKERS, Cluster, network, stop_often
from benchmarks.faults.ground import until
from tests.builders.counting_stage import dask, files, run, settings

SHARDS, SLEEP = 32, 3.0
LONGEST = 600.0  # seconds after which a run hangs


class StageRun:
    """The stage in a process of its own."""

    def __init__(self, folder: Path, name: str, *, apart: bool = True) -> None:
        self.outputs, self.expected = folder / f"outputs-{name}", folder / "outputs-local"
        command = [sys.executable, "-m", "benchmarks.cluster_stage", "--to", str(self.outputs), "--compute"]
        self.started = time.monotonic()
        log = (folder / f"{name}.log").open("ab")
        self.process = subprocess.Popen([*command, ADDRESS if apart else ""], cwd=ROOT, stdout=log, stderr=log)

    def wait(self, count: int) -> int:
        """Wait until so many shards are there, or the run has ended; how many there are."""
        until(lambda: self.count >= count or self.process.poll() is not None, LONGEST)
        return self.count

    @property
    def count(self) -> int:
        """How many shards are there."""
        return len(files(self.outputs))

    def row(self, what: str) -> None:
        """Wait for its end, print a line of the table."""
        code = self.process.wait(LONGEST)
        seconds = time.monotonic() - self.started
        bits = "equal" if files(self.outputs) == files(self.expected) else "not complete"
        print(f"| {what} | {code} | {seconds:.0f} | {self.count} | {bits} |", flush=True)


def compute(outputs: Path, scheduler: str) -> None:
    """The stage, on a cluster or in this process."""
    notes = outputs.parent / f"notes-{outputs.name}"
    here = dask(outputs, scheduler=scheduler) if scheduler else settings(outputs)
    run(here, notes, seconds=SLEEP if scheduler else 0.0, size=1024 // SHARDS)


def ready(cluster: Cluster, workers: int) -> None:
    """Wait until the scheduler has met so many workers since the benchmark began."""
    log = cluster.folder / "scheduler.log"
    until(lambda: log.exists() and log.read_text().count("Register worker") >= workers, LONGEST)


def strike(cluster: Cluster, run: StageRun) -> None:
    """Cut one machine off, kill one and start it again later, stop one half of the time."""
    killed, cut, slow = cluster.machines[:3]
    stopping = threading.Thread(target=stop_often, args=(slow, run))
    stopping.start()
    run.wait(SHARDS // 8)
    cut.cut()
    run.wait(SHARDS // 3)
    killed.end()
    run.wait(SHARDS // 2)
    killed.start()
    run.row("one cut off, one killed and started again, one stopped 3 of every 6 s")
    stopping.join()
    cut.cut("up")


def main() -> None:
    """Do everything, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--to", type=Path, required=True, help="an empty folder, in which all is done")
    parser.add_argument("--compute", metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.to.resolve()
    if options.compute is not None:
        compute(folder, options.compute)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder.mkdir(parents=True, exist_ok=True)
    print("| what was done to four workers | exit code | seconds | shards | bits |\n|---|---|---|---|---|", flush=True)
    StageRun(folder, "local", apart=False).row("computed in one process, without sleep")
    with network(folder) as cluster:
        cluster.start()
        ready(cluster, WORKERS)
        StageRun(folder, "undisturbed").row("nothing")
        strike(cluster, StageRun(folder, "struck"))
        lost = StageRun(folder, "scheduler")
        lost.wait(SHARDS // 4)
        cluster.end_scheduler()
        lost.row("scheduler killed")
        met = (folder / "scheduler.log").read_text().count("Register worker")
        cluster.restart()
        ready(cluster, met + WORKERS)
        StageRun(folder, "scheduler").row("scheduler and workers restarted, the same command again")
        StageRun(folder, "second").row("a second run on that cluster")


if __name__ == "__main__":
    main()
