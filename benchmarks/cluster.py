"""A small run on four workers that share no disk, while they are killed, cut off and stopped; as root, on Linux.

    python -m benchmarks.cluster --to FOLDER            prints the table of docs/howto/cluster.md

Each worker is a machine of its own as far as one kernel can make it: a network namespace, joined to a bridge by a pair
of virtual links, and a root folder of its own, an overlay of this one in which FOLDER is empty. Needs `ip` and overlay
mounts. Of every run: its exit code, its seconds, the processor seconds of its workers, and whether the published tables
are equal, to the bit, to those of a run on one worker of this machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.ground import METHODS, PROTOCOL, SIZES, different, until
from pipeline.storage.stages import STAGES

WORKERS = 4
NET, BRIDGE, PORT = "10.77.0", "lbbridge", 8786
ADDRESS = f"tcp://{NET}.1:{PORT}"
MINUTES = 30  # after which a run hangs
DASK = (sys.executable, "-m", "dask")
ROOT = Path(__file__).parents[1]
# What a worker's shell does before Dask: a root folder of its own, in which the benchmark's folder is empty.
MACHINE = """
set -e
mount -t tmpfs tmpfs "$ROOM"
mkdir "$ROOM/upper" "$ROOM/work" "$ROOM/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$ROOM/upper,workdir=$ROOM/work" "$ROOM/root"
for part in dev proc sys; do mount --rbind "/$part" "$ROOM/root/$part"; done
mount -t tmpfs tmpfs "$ROOM/root$HIDDEN"
mkdir "$ROOM/root$HIDDEN/local"
exec chroot "$ROOM/root" "$@"
"""


def sh(*command: str, check: bool = True) -> None:
    """Run a command of the system."""
    subprocess.run(command, check=check, stdout=subprocess.DEVNULL, stderr=None if check else subprocess.DEVNULL)


@dataclass
class Machine:
    """A worker in namespaces of its own."""

    number: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The name of its network namespace."""
        return f"lbworker{self.number}"

    @property
    def link(self) -> str:
        """This end of its cable."""
        return f"lbcable{self.number}"

    def build(self) -> None:
        """Make its network."""
        inside = ("ip", "netns", "exec", self.name)
        sh("ip", "netns", "add", self.name)
        sh("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        sh("ip", "link", "set", self.link, "master", BRIDGE, "up")
        sh(*inside, "ip", "address", "add", f"{NET}.{self.number + 1}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            sh(*inside, "ip", "link", "set", device, "up")

    def start(self) -> None:
        """Start its worker."""
        room = self.folder / f"room{self.number}-{time.monotonic_ns()}"
        room.mkdir(parents=True)
        worker = [*DASK, "worker", ADDRESS, "--nthreads", "1", "--no-dashboard", "--name", self.name]
        worker += ["--local-directory", str(self.folder / "local")]
        shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MACHINE, "sh", *worker]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *shell],
            env={**os.environ, "ROOM": str(room), "HIDDEN": str(self.folder), "PYTHONPATH": str(ROOT)},
            process_group=0,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{self.name}.log").open("ab"),
        )

    def strike(self, number: int) -> None:
        """Send a signal to all of its processes."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def cut(self, state: str = "down") -> None:
        """Pull its cable, or plug it in again ("up")."""
        sh("ip", "link", "set", self.link, state)

    def end(self) -> None:
        """Kill it."""
        self.strike(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(60)
            self.process = None


@dataclass
class Cluster:
    """A scheduler on this machine, and workers in namespaces."""

    folder: Path
    machines: list[Machine] = field(default_factory=list)
    scheduler: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the scheduler, and every worker that does not run."""
        if self.scheduler is None:
            options = ["--host", f"{NET}.1", "--port", str(PORT), "--no-dashboard", "--no-show"]
            log = (self.folder / "scheduler.log").open("ab")
            self.scheduler = subprocess.Popen(
                [*DASK, "scheduler", *options], cwd=ROOT, process_group=0, stdout=log, stderr=log
            )
        for machine in self.machines:
            if machine.process is None or machine.process.poll() is not None:
                machine.end()
                machine.start()

    def end_scheduler(self) -> None:
        """Kill the scheduler."""
        if self.scheduler is not None:
            os.killpg(self.scheduler.pid, signal.SIGKILL)
            self.scheduler.wait(60)
            self.scheduler = None

    def restart(self) -> None:
        """Kill everything and start it again, as services do."""
        self.end_scheduler()
        for machine in self.machines:
            machine.end()
        self.start()


@contextmanager
def network(folder: Path) -> Iterator[Cluster]:
    """Four machines on a bridge, and nothing left of them afterwards."""
    cluster = Cluster(folder, [Machine(number, folder) for number in range(1, WORKERS + 1)])
    try:
        sh("ip", "link", "add", BRIDGE, "type", "bridge")
        sh("ip", "link", "set", BRIDGE, "up")
        sh("ip", "address", "add", f"{NET}.1/24", "dev", BRIDGE)
        for machine in cluster.machines:
            machine.build()
        yield cluster
    finally:
        cluster.end_scheduler()
        for machine in cluster.machines:
            machine.end()
            sh("ip", "netns", "delete", machine.name, check=False)
        sh("ip", "link", "delete", BRIDGE, check=False)


@dataclass
class Run:
    """A small run in a process of its own."""

    outputs: Path
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        changes = [f"profile.smoke.{key}={value}" for key, value in SIZES.items()]
        changes += [f"protocol.{key}={value}" for key, value in PROTOCOL.items()]
        changes += ["profile.smoke.n_latents=1024", "machine.shard_size=256"]
        settings = [part for change in changes for part in ("--set", change)]
        command = [sys.executable, "-m", "tasks.console", "run", "--profile", "smoke", *METHODS, *settings]
        self.started = time.monotonic()
        with self.outputs.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.options, "--outputs", str(self.outputs)], cwd=ROOT, stdout=log, stderr=log
            )

    def reached(self, stage: str) -> bool:
        """Wait until a stage of that name is begun; whether the run goes on."""
        until(lambda: (self.outputs / STAGES / stage).exists() or self.process.poll() is not None, MINUTES * 60)
        return self.process.poll() is None

    def end(self) -> tuple[int, float]:
        """Exit code and seconds."""
        code = self.process.wait(MINUTES * 60)
        return code, time.monotonic() - self.started


# What is done to the workers while a run goes on


def nothing(cluster: Cluster, run: Run) -> str:
    """Let it run."""
    return "nothing, on the workers that the run before left"


def strike(cluster: Cluster, run: Run) -> str:
    """A machine is cut off, one stands still half of the time, one dies and comes back later; one is left alone."""
    killed, cut, slow = cluster.machines[:3]
    stopping = threading.Thread(target=stop_often, args=(slow, run))
    stopping.start()
    run.reached("labels")
    cut.cut()
    run.reached("train")
    killed.end()
    run.reached("edits")
    killed.start()
    run.process.wait()
    stopping.join()
    return (
        "one worker cut off at the labels, one killed at the trainings and started at the edits, one stopped 3 of 6 s"
    )


def stop_often(machine: Machine, run: Any) -> None:
    """Let a machine stand still 3 of every 6 seconds, until the `process` of a run ends."""
    while run.process.poll() is None:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            machine.strike(number)
            time.sleep(3)


def lose_scheduler(cluster: Cluster, run: Run) -> str:
    """The scheduler dies and is started again, with the workers, as services are."""
    run.reached("range")
    cluster.restart()
    return "scheduler killed and restarted, workers with it"


DONE: dict[str, Callable[[Cluster, Run], str]] = {
    "struck": strike,
    "scheduler": lose_scheduler,
    "second": nothing,
}


def measure(cluster: Cluster, name: str, local: Path) -> Iterator[str]:
    """A row of the table for each command that a run took."""
    for machine in cluster.machines:
        machine.cut("up")
    cluster.start()
    outputs = cluster.folder / f"outputs-{name}"
    before, run = worked(cluster.machines), Run(outputs, ("--scheduler", ADDRESS))
    what = DONE[name](cluster, run)
    code, seconds = run.end()
    yield row(what, code, seconds, worked(cluster.machines) - before, outputs, local)
    if code:
        cluster.start()
        before = worked(cluster.machines)
        code, seconds = Run(outputs, ("--scheduler", ADDRESS)).end()
        yield row("the same command again", code, seconds, worked(cluster.machines) - before, outputs, local)


def row(what: str, code: int, seconds: float, worked: float, outputs: Path, local: Path) -> str:
    """A line of the table."""
    bits = ("not complete",) if code else different(outputs, local) or ("equal",)
    return f"| {what} | {code} | {seconds:.0f} | {worked:.0f} | {'; '.join(bits)} |"


def worked(machines: Sequence[Machine]) -> float:
    """Processor seconds so far of the workers' processes that live."""
    groups = {str(machine.process.pid) for machine in machines if machine.process is not None}
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()  # from the third field on
            ticks += (int(fields[11]) + int(fields[12])) * (fields[2] in groups)
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run everything, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--to", type=Path, required=True, help="an empty folder, in which all is done")
    parser.add_argument("--only", action="append", choices=list(DONE), help="one of the runs; repeat for several")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the network is taken down at the end
    folder = options.to.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    local = folder / "local-run"
    if not (local / "latest").exists():
        code, seconds = Run(local, ("--set", "machine.workers=1")).end()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"local, one worker: {code}, {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} of a processor",
            flush=True,
        )
    with network(folder) as cluster:
        print(
            "| what was done | exit code | seconds | of processors | bits of the tables |\n|---|---|---|---|---|",
            flush=True,
        )
        for name in options.only or DONE:
            for line in measure(cluster, name, local):
                print(line, flush=True)


if __name__ == "__main__":
    main()
