"""Shard functions for the tests of stages and compute: module-level, so that Dask workers can import them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import StageError
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.experiment import Experiment
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage, cut_ids, write_shard
from pipeline.tables.parquet import write_table
from pipeline.tables.schemas import LATENTS, W_DIM
from tests.builders import experiments

STAGE = Stage("numbers", 1, {"count": 1024}, {"generator": "0" * 64}, label="toy")


def experiment(**changes: object) -> Experiment:
    values: dict[str, object] = {
        "profile": "test",
        "seed": 7,
        "attributes": ("age", "glasses"),
        "n_latents": 1024,
        "n_faces": 4,
        "n_steps": 3,
        "n_reference": 64,
        "n_timings": 1,
        "bisections": 2,
        "bootstrap_samples": 10,
        "kid_subsets": 2,
        "kid_subset_size": 8,
        "inception_score_splits": 2,
        "first_face_id": 1_000_000_000,
        "first_reference_id": 2_000_000_000,
        "n_spread": 32,
        "n_matched_faces": 4,
    }
    return experiments.experiment(**{**values, **changes})


def settings(outputs: Path, **machine: object) -> Settings:
    options: dict[str, object] = {"executor": "inline", "workers": 1, "shard_size": 256, **machine}
    return Settings("toy", experiment(), (), experiments.machine(**options), outputs, "test.cfg")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Shard:
    name: str
    first: int
    stop: int
    how: str = ""
    notes: str = ""  # a folder in which to say what happened
    seconds: float = 0.0


def shards(notes: Path, how: str = "", seconds: float = 0.0, size: int = 256) -> list[Shard]:
    return [Shard(c.name, c.first, c.stop, how, str(notes), seconds) for c in cut_ids("latents", 0, 1024, size)]


@dataclass(frozen=True)
class Work:
    """What a worker is handed: passed through as it is."""

    settings: Settings
    stage: Stage = STAGE
    missing: str = ""  # what every worker says that it lacks

    def lacking(self) -> str:
        return self.missing


def calls(settings: Settings, shards: list[Shard]) -> list[tuple[Work, Shard]]:
    return [(Work(settings), shard) for shard in shards]


def compute(work: Work, shard: Shard, progress: Progress) -> ShardRecord:
    """Random vectors of the shard's ids, as a real table; notes that it was computed, and by whom."""
    notes = Path(shard.notes)
    notes.mkdir(exist_ok=True, parents=True)
    with (notes / "computed").open("a") as file:
        file.write(f"{shard.name} {os.getpid()} {os.environ.get('OMP_NUM_THREADS')}\n")
    last = shard.first + 256 >= 1024
    if shard.how == "poison" and last:
        raise ValueError("there is a bad number in it")
    if shard.how == "refuse" and last:
        raise StageError("this shard refuses, as expected")
    if last and (shard.how == "passing" or (shard.how == "passing once" and not (notes / "passed").exists())):
        (notes / "passed").touch()
        raise OSError(errno.EIO, "the network disk is away")
    if shard.how == "lasting" and last:
        raise FileNotFoundError(errno.ENOENT, "it was never there")
    if shard.how == "die always" and last:
        os.kill(os.getpid(), signal.SIGKILL)
    if shard.how == "die once" and last and not (notes / "died").exists():
        (notes / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    for part in range(4):
        time.sleep(shard.seconds / 4)
        progress(part + 1, 4, f"part {part}")
    ids = np.arange(shard.first, shard.stop)
    w = np.stack([np.random.default_rng(int(i)).standard_normal(W_DIM, dtype=np.float32) for i in ids])
    extra = {"first": shard.first, "stop": shard.stop}
    table = {"latent_id": ids, "w": w}
    folder = STAGE.folder(work.settings.outputs)
    return write_shard(folder, shard.name, lambda path: write_table(table, LATENTS, path), extra)


def run(settings: Settings, notes: Path, how: str = "", seconds: float = 0.0, size: int = 256) -> Manifest:
    cut = shards(notes, how, seconds, size)
    return run_stage(Work(settings), compute, cut, units=[256] * len(cut), unit="latents")


def computed(notes: Path) -> list[str]:
    """Names of the shards that were computed, in order."""
    return [line.split()[0] for line in (notes / "computed").read_text().splitlines()]


def _die_at(count: int) -> None:
    """Let this process be killed, by its own hand, at the count-th rename: half before it, half after it."""
    rename, seen = os.replace, 0

    def replace(*arguments: object) -> None:
        nonlocal seen
        seen += 1
        if seen == (count + 1) // 2 and count % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*arguments)  # type: ignore[arg-type]
        if seen == (count + 1) // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace  # type: ignore[assignment]


ROOT = Path(__file__).parents[2]


def start(outputs: Path, notes: Path, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """The stage of `counting_stage` in a process of its own, which Ctrl-C reaches even where ours ignores it."""
    command = [sys.executable, "-m", "tests.builders.counting_stage", outputs, notes, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        stdout=pipe,
        stderr=pipe,
        text=True,
        **({"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)} | options),  # type: ignore
    )


def files(outputs: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(STAGE.folder(outputs).glob("*.parquet"))}


def wait_for(condition, seconds: float = 120.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def dask(outputs: Path, **machine: object):  # type: ignore[no-untyped-def]
    return settings(outputs, executor="dask", **{"workers": 2, **machine})


def main() -> None:
    """python -m tests.builders.counting_stage OUTPUTS NOTES [EXECUTOR] [SECONDS] [DIE_AT] [LOCK_WAIT] [SIZE]"""
    arguments = [*sys.argv[1:], *["", "", "inline", "0", "0", "0", "256"][len(sys.argv) - 1 :]]
    outputs, notes, executor, seconds, die_at, wait, size = arguments
    if int(die_at):
        _die_at(int(die_at))
    machine = {"executor": executor, "workers": 2, "lock_wait": float(wait)}
    run(settings(Path(outputs), **machine), Path(notes), seconds=float(seconds), size=int(size))
    assert "torch" not in sys.modules, "what schedules never loads it"


if __name__ == "__main__":
    main()
