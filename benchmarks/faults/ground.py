"""The ground of all faults: a small run of synthface, the same undisturbed, and whether two runs are the same."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.faults.processes import LATENTBENCH, MOST_SECONDS, Command, Ended
from pipeline.report.archive import newest_report
from pipeline.report.grids import SECONDS
from pipeline.storage.manifests import MANIFEST, load_manifest
from pipeline.storage.stages import STAGES

METHODS = ("--method", "interfacegan", "--method", "noop", "--attribute", "age")
SIZES = {"n_latents": 256, "n_reference": 64, "n_spread": 64, "n_faces": 2, "n_steps": 3, "n_timings": 5}
SIZES |= {"n_matched_faces": 2, "n_rate_faces": 2, "n_consistency_faces": 2, "n_naming_codes": 24}  # as in smoke
PROTOCOL = {"bootstrap_samples": 100, "comparison_samples": 100, "kid_subset_size": 30, "kid_subsets": 5}
DATED = ("run_id", "run_date", "profile")  # columns that may differ between runs of the same numbers
UNLIKE = ("runs",)  # the table of dates, machines and seconds
HANGS_AFTER = 600.0, 10  # seconds, or times an undisturbed run's on a machine that is slow
LAST = ("rates", "consistency", "rating")  # the last stages of the chain


@dataclass(frozen=True)
class Ground:
    """Where faults are done. kills: how many processes are killed with -9. seed: of every random moment."""

    folder: Path
    kills: int = 50
    seed: int = 2022
    only: tuple[str, ...] = ()  # cases; empty: all

    def random(self, *key: object) -> random.Random:
        """A stream of its own for what the key names."""
        return random.Random(f"{self.seed} {key}")

    def options(self, outputs: Path, *, profile: str = "smoke", methods: Sequence[str] = METHODS) -> list[str]:
        """The options of the small run."""
        changes = [part for change in self.changes(profile) for part in ("--set", change)]
        return ["--profile", profile, *methods, *changes, "--outputs", str(outputs)]

    def changes(self, profile: str = "smoke") -> list[str]:
        """The settings of the small run."""
        sizes = [f"profile.{profile}.{key}={value}" for key, value in SIZES.items()]
        rules = [f"protocol.{key}={value}" for key, value in PROTOCOL.items()]
        return [*sizes, *rules, "machine.shard_size=256", "machine.workers=2"]

    def start(
        self,
        verb: str,
        outputs: Path,
        *more: str,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        profile: str = "smoke",
        methods: Sequence[str] = METHODS,
    ) -> Command:
        """Start a verb on the small run; `before` is a program that starts it, with its arguments."""
        options = self.options(outputs, profile=profile, methods=methods)
        return Command([*before, *LATENTBENCH, verb, *options, *more], self.folder / "said", env)

    def run(self, outputs: Path, *more: str) -> Ended:
        """The small run, to its end."""
        return self.start("run", outputs, *more).end()

    def empty(self, name: str) -> Path:
        """A folder of that name with nothing in it."""
        folder = self.folder / "tries" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def copy(self, name: str) -> Path:
        """The outputs of the undisturbed run, copied."""
        folder = self.empty(name) / "outputs"
        shutil.copytree(self.undisturbed, folder, symlinks=True)
        return folder

    def late(self, name: str) -> Path:
        """A copy of the undisturbed run before its LAST stages: what is left to compute takes a fifth of the time."""
        outputs = self.copy(name)
        for part in (*(f"stages/{stage}" for stage in LAST), "reports", "latest"):
            path = outputs / part
            path.unlink() if path.is_symlink() else shutil.rmtree(path)
        return outputs

    @cached_property
    def undisturbed(self) -> Path:
        """The outputs of the small run that nothing disturbed; computed once."""
        outputs = self.folder / "undisturbed"
        done = self.folder / "undisturbed.seconds"
        if not done.exists():
            shutil.rmtree(outputs, ignore_errors=True)
            ended = self.run(outputs)
            if faults := ended.faults([0]):
                raise RuntimeError(f"The undisturbed run failed: {'; '.join(faults)}\n{ended.err}")
            done.write_text(f"{ended.seconds:.1f}\n")
        return outputs

    @property
    def seconds(self) -> float:
        """What the undisturbed run took."""
        return float((self.undisturbed.parent / "undisturbed.seconds").read_text())

    @property
    def patience(self) -> float:
        """Seconds after which a run hangs."""
        return max(HANGS_AFTER[0], HANGS_AFTER[1] * self.seconds)

    def resumed(self, outputs: Path, *more: str) -> list[str]:
        """Run again, undisturbed; answers what is not right: it must complete, with the very same tables."""
        faults = self.run(outputs, *more).faults([0])
        return faults or different(outputs, self.undisturbed)


def different(outputs: Path, expected: Path) -> list[str]:
    """The tables of the newest run of a folder that are not, to the bit, the ones of another folder's."""
    folders = [newest_report(folder) for folder in (outputs, expected)]
    if folders[0] is None or folders[1] is None:
        return [f"no run is published under {outputs}"]
    tables = [{path.stem: path for path in folder.glob("*.parquet")} for folder in folders if folder]
    if set(tables[0]) != set(tables[1]):
        return [f"other tables: {sorted(set(tables[0]) ^ set(tables[1]))}"]
    names = [name for name in sorted(tables[1]) if name not in UNLIKE]
    return [f"table {name} differs" for name in names if rows(tables[0][name]) != rows(tables[1][name])]


def rows(path: Path) -> list[str]:
    """A published table in words that tell any two bits apart, without dates and seconds."""
    lines = pq.ParquetFile(path).read().to_pylist()
    kept = [line for line in lines if line.get("metric") not in SECONDS]
    return [repr({name: value for name, value in line.items() if name not in DATED}) for line in kept]


def published(outputs: Path) -> dict[str, str]:
    """Folder of each published stage -> when it was begun."""
    stages = {}
    for path in sorted((outputs / STAGES).glob(f"*/*/{MANIFEST}")):
        manifest = load_manifest(path.parent)
        if manifest is not None:
            stages[str(path.parent.relative_to(outputs))] = f"{manifest.started} {manifest.wall_seconds}"
    return stages


def lost(before: Mapping[str, str], outputs: Path) -> int:
    """How many stages that were published before are not there any more, or were computed again."""
    after = published(outputs)
    return sum(after.get(folder) != started for folder, started in before.items())


def until(condition: Callable[[], object], seconds: float = MOST_SECONDS) -> bool:
    """Wait until a callable answers yes; answers whether it did in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
