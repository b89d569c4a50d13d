"""What goes on next to a run: another run, a removal, a reader, a lock that was left, Luigi's scheduler."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from benchmarks.faults.ground import Ground, different, lost, published, until
from benchmarks.faults.outcome import Case, Fault, NotPossibleError, Verdict, verdict
from benchmarks.faults.processes import LATENTBENCH, Command

INLINE = ("--executor", "inline")
BUSY = 10  # exit code of a run whose settings another process runs
NIGHTS = 4  # publications that are read
ALL_TABLES = "SELECT count(*) FROM read_parquet('{}/reports/*/scores.parquet', hive_partitioning = true)"


def faults() -> list[Fault]:
    """The faults of this file."""
    return [
        Fault("same-run-twice", "the same run twice at once", _twice),
        Fault("two-profiles", "two profiles at once that share stages", _profiles),
        Fault("invalidate", "`invalidate` during a run", _invalidate),
        Fault("gc", "`gc --older-than 0` during a run, whose stages no report names yet", _gc),
        Fault("reader", "DuckDB reads all runs while runs are published", _reader),
        Fault("stale-lock", "locks of processes that are gone, of another host, and no locks at all", _stale_locks),
        Fault("luigid", "Luigi's central scheduler killed during a run", _luigid),
    ]


def _twice(ground: Ground) -> Iterator[Case]:
    for delay in (0.0, 1.0):
        yield Case(f"{delay:g}-s-apart", lambda ground, delay=delay: _same_twice(ground, delay))


def _same_twice(ground: Ground, delay: float) -> Verdict:
    outputs = ground.late("twice")
    first = ground.start("run", outputs)
    time.sleep(delay)
    second = ground.start("run", outputs)
    ended = [second.end(), first.end()]
    faults = [fault for one in ended for fault in one.faults([0, BUSY])]
    if sorted(one.code for one in ended) != [0, BUSY]:
        faults.append(f"exit codes {[one.code for one in ended]}, expected one 0 and one {BUSY}")
    return verdict(faults or different(outputs, ground.undisturbed))


def _profiles(ground: Ground) -> Iterator[Case]:
    yield Case("smoke-and-standard", _two_profiles)


def _two_profiles(ground: Ground) -> Verdict:
    """Profile standard with the sizes of smoke shares every stage: each waits until the other has computed it."""
    outputs = ground.late("profiles")
    methods = ("--method", "noop", "--attribute", "age")
    commands = [ground.start("run", outputs, profile=name, methods=methods) for name in ("smoke", "standard")]
    faults = [fault for command in commands for fault in command.end().faults([0])]
    runs = sorted((outputs / "reports").glob("run_id=*"))
    if len(runs) != 2:
        return verdict([*faults, f"{len(runs)} runs are published, expected 2"])
    for run in runs:
        shutil.copytree(run, outputs.with_name(run.name) / "reports" / run.name)
    return verdict(faults + different(*(outputs.with_name(run.name) for run in runs)))


def _invalidate(ground: Ground) -> Iterator[Case]:
    for stage in ("latents", "edits"):
        yield Case(f"from-{stage}", lambda ground, stage=stage: _removed(ground, stage))


def _removed(ground: Ground, stage: str) -> Verdict:
    """It must be refused, in words, and the run must complete."""
    outputs = ground.late(f"invalidate-{stage}")
    command = ground.start("run", outputs)
    if not command.wait_for(lambda: list(outputs.glob("stages/rates/*"))):
        return verdict(command.end().faults([0]) or ["it ended before"])
    before = published(outputs)
    faults = (
        ground.start("invalidate", outputs, "--from", stage, "--yes", methods=()).end().faults([2, BUSY], "builds on")
    )
    faults += command.end().faults([0]) or different(outputs, ground.undisturbed)
    return verdict(faults, lost(before, outputs))


def _gc(ground: Ground) -> Iterator[Case]:
    yield Case("during-a-run", _collected)


def _collected(ground: Ground) -> Verdict:
    """Nothing is published, and luigi.cfg has other sizes: only the run that goes on keeps its stages."""
    outputs = ground.late("gc")
    command = ground.start("run", outputs)
    if not command.wait_for(lambda: list(outputs.glob("stages/rates/*"))):
        return verdict(command.end().faults([0]) or ["it ended before"])
    before = published(outputs)
    gc = Command([*LATENTBENCH, "gc", "--older-than", "0", "--yes", "--outputs", str(outputs)], ground.folder / "said")
    faults = gc.end().faults([0])
    faults += command.end().faults([0]) or different(outputs, ground.undisturbed)
    return verdict(faults, lost(before, outputs))


def _reader(ground: Ground) -> Iterator[Case]:
    yield Case("duckdb", _read_while_published)


def _read_while_published(ground: Ground) -> Verdict:
    """A night is published again and again; the rows that a reader sees never fall, and no read fails."""
    outputs = ground.copy("reader")
    query = ALL_TABLES.format(outputs)
    with closing(duckdb.connect()) as connection:
        counts = [connection.execute(query).fetchall()[0][0]]
        reads, faults = 0, []
        for night in range(NIGHTS):
            command = ground.start("nightly", outputs, *INLINE, "--date", f"2026-11-{night + 1:02d}")
            while command.runs():
                reads += 1
                try:
                    counts.append(connection.execute(query).fetchall()[0][0])
                except duckdb.Error as error:
                    faults.append(f"a read failed: {error}")
            faults += command.end().faults([0])
    if counts != sorted(counts) or counts[-1] != (NIGHTS + 1) * counts[0]:
        faults.append(f"rows fell, or are not there: {sorted(set(counts))}")
    return Verdict(reads, reads if not faults else reads - len(faults), 0, tuple(faults))


def _stale_locks(ground: Ground) -> Iterator[Case]:
    for case in ("dead-process", "other-host", "nonsense", "none"):
        yield Case(case, lambda ground, case=case: _stale_lock(ground, case))


def _stale_lock(ground: Ground, case: str) -> Verdict:
    """Every lock names a process that does not hold it; one stage and the report are missing."""
    outputs = ground.copy("stale")
    shutil.rmtree(outputs / "reports")
    shutil.rmtree(next((outputs / "stages" / "rating").iterdir()))
    texts = {
        "dead-process": json.dumps({"pid": 2**22 - 1, "host": socket.gethostname()}),
        "other-host": json.dumps({"pid": 1, "host": "another-host"}),
        "nonsense": "\0{",
    }
    for path in outputs.rglob("*.lock"):
        if case == "none":
            path.unlink()
        else:
            path.write_text(texts[case])
    return verdict(ground.resumed(outputs, *INLINE))


def _luigid(ground: Ground) -> Iterator[Case]:
    yield Case("killed", _without_luigid)


def _without_luigid(ground: Ground) -> Verdict:
    """Luigi's own command line with a central scheduler, which is killed; the run must end, and the next complete."""
    binaries = Path(sys.executable).parent
    if not (binaries / "luigid").exists():
        raise NotPossibleError("luigid is not installed next to Python")
    outputs = ground.late("luigid")
    folder = outputs.parent
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = Command(
        [
            str(binaries / "luigid"),
            "--address",
            "127.0.0.1",
            "--port",
            str(port),
            "--state-path",
            str(folder / "state"),
        ],
        folder / "said",
    )
    until(lambda: _listens(port), 60)
    options = {"profile": "smoke", "methods": "interfacegan,noop", "attributes": "age", "outputs": str(outputs)}
    changes = dict(change.split("=", 1) for change in ground.changes())
    arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
    command = Command(
        [str(binaries / "luigi"), "--module", "tasks", "Evaluation", *arguments, "--changes", json.dumps(changes),
         "--scheduler-host", "127.0.0.1", "--scheduler-port", str(port)],
        folder / "said",
    )  # fmt: skip
    reached = command.wait_for(lambda: list(outputs.glob("stages/rates/*")))
    before = published(outputs)
    daemon.send(9)
    daemon.end()
    ended = command.end()
    faults = ([] if reached else ["it ended before"]) + (["hangs"] if ended.hung else []) + list(ended.orphans)
    faults += ground.resumed(outputs)
    return verdict(faults, lost(before, outputs))


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
