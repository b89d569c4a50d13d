"""Limits of memory and of open files, and a clock that is set back."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults.ground import Ground
from benchmarks.faults.outcome import Case, Fault, NotPossibleError, Verdict, verdict
from benchmarks.faults.processes import Ended

GIB = 2**30
WORKER_MIB = (16, 256)  # what a worker may still take, from the moment at which the limit comes
RUN_GIB = (1, 2, 3)  # of address space, for each process of a run
FILES = (20, 32, 64, 128)
MOST_LINES = 200  # on stderr
STEPS_BACK = (20, 3600)  # seconds
FAKETIME = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib64/faketime/libfaketimeMT.so.1"),
)


def faults() -> list[Fault]:
    """The faults of this file."""
    return [
        Fault("worker-memory", "no memory left in one worker, from a moment on (rlimit)", _worker_memory),
        Fault("run-memory", "1 to 3 GiB of address space for every process (ulimit -v)", _run_memory),
        Fault("few-files", "20 to 128 open files (ulimit -n)", _few_files),
        Fault("clock", "the clock jumps back by 20 s and by an hour during a run (libfaketime)", _clock),
    ]


def _worker_memory(ground: Ground) -> Iterator[Case]:
    for mib in WORKER_MIB:
        yield Case(f"{mib}-mib", lambda ground, mib=mib: _worker_without_memory(ground, mib))


def _worker_without_memory(ground: Ground, mib: int) -> Verdict:
    """From the moment at which a worker computes, it gets `mib` MiB more and nothing else."""
    outputs = ground.late(f"worker-{mib}")
    command = ground.start("run", outputs)
    if not command.wait_for(lambda: command.workers() and list(outputs.glob("stages/rates/*"))):
        return verdict(command.end().faults([0]) or ["it ended before"])
    pid = command.workers()[0]
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + mib * 2**20
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    return _bounded(ground, outputs, command.end(ground.patience))


def _run_memory(ground: Ground) -> Iterator[Case]:
    for gib in RUN_GIB:
        yield Case(f"{gib}-gib", lambda ground, gib=gib: _limited(ground, f"memory-{gib}", f"--as={gib * GIB}"))


def _few_files(ground: Ground) -> Iterator[Case]:
    for count in FILES:
        yield Case(str(count), lambda ground, count=count: _limited(ground, f"files-{count}", f"--nofile={count}"))


def _limited(ground: Ground, name: str, limit: str) -> Verdict:
    outputs = ground.late(name)
    command = ground.start("run", outputs, before=("prlimit", limit))
    return _bounded(ground, outputs, command.end(ground.patience))


def _bounded(ground: Ground, outputs: Path, ended: Ended) -> Verdict:
    """It must end, complete or with a reason in few lines; then a run without the limit completes it."""
    faults = ended.faults([0, 2, 30])
    if len(ended.err.splitlines()) > MOST_LINES:
        faults.append(f"{len(ended.err.splitlines()):,} lines on stderr")
    return verdict(faults + ground.resumed(outputs))


def _clock(ground: Ground) -> Iterator[Case]:
    for step in STEPS_BACK:
        yield Case(f"{step}-s", lambda ground, step=step: _set_back(ground, step))


def _set_back(ground: Ground, step: int) -> Verdict:
    """While workers compute, the clock goes back. A short step is waited out; a long one must be said."""
    library = next((path for path in FAKETIME if path.exists()), None)
    if library is None:
        raise NotPossibleError("libfaketime is not installed (apt-get install faketime)")
    outputs = ground.late(f"clock-{step}")
    offset = outputs.with_name("offset")
    offset.write_text("+0\n")
    env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = ground.start("run", outputs, env=env)
    if not command.wait_for(lambda: list(outputs.glob("stages/rates/*"))):
        return verdict(command.end().faults([0]) or ["it ended before"])
    offset.write_text(f"-{step}\n")
    ended = command.end(ground.patience)
    return verdict(ended.faults([0]) + ground.resumed(outputs))
