"""The product as a user runs it: the command line, the embedded domain, Dask workers, a kill, a damaged file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
SIZES = {
    "n_latents": 512,
    "n_faces": 3,
    "n_steps": 3,
    "n_reference": 64,
    "n_spread": 64,
    "n_matched_faces": 2,
    "n_timings": 2,
    "l2l.steps": 8,
    "interfacegan.chosen": 0.2,
}
CHOICE = ["--profile", "smoke", "--method", "interfacegan", "--method", "l2l", "--method", "noop"]
CHOICE += ["--attribute", "age", "--attribute", "yaw"]
WHOLE = ("--set", "machine.shard_size=512")
BATTERED = ("--workers", "1", "--set", "machine.shard_size=256")  # two shards of labels: it dies between them
UNMOVED = ("identity_distance", "true_identity_distance", "attribute_change")  # zero without an edit
TIMED = ("seconds_per_edit", "seconds_per_edit_and_synthesis")  # measurements of the machine


def command(outputs: Path, *machine: str) -> list[str]:
    sizes = [part for key, value in SIZES.items() for part in ("--set", f"profile.smoke.{key}={value}")]
    return [str(BIN / "latentbench"), "run", "--outputs", str(outputs), *CHOICE, *sizes, *machine]


def execute(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    merged = {**os.environ, **environment}
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=600, env=merged, check=False)


def succeed(arguments: list[str], **environment: str) -> str:
    result = execute(arguments, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@dataclass(frozen=True)
class Finished:
    """A finished run: where it wrote, what it said."""

    outputs: Path
    said: str

    def table(self, name: str) -> list[dict]:
        """Rows of a published table, without what tells one publication from another."""
        rows = pq.read_table(self.outputs / "latest" / f"{name}.parquet").to_pylist()
        return [{key: value for key, value in row.items() if key not in ("run_id", "run_date")} for row in rows]

    def scores(self) -> dict[tuple[str, ...], float]:
        """Value of every score that is no measurement of the machine."""
        keys = ("protocol", "method", "attribute", "metric", "network", "level")
        return {
            tuple(row[key] for key in keys): row["value"] for row in self.table("scores") if row["metric"] not in TIMED
        }

    def latents(self) -> np.ndarray:
        """w of all training latents, in order of id."""
        files = sorted(self.outputs.glob("stages/latents/train-*/latents-*.parquet"))
        parts = [pq.read_table(file, columns=["w"])["w"].combine_chunks().flatten().to_numpy() for file in files]
        return np.concatenate(parts).reshape(-1, 512)

    def files(self) -> dict[str, int]:
        """Time of last change of every published file."""
        found = [*self.outputs.glob("stages/*/*/*.parquet"), *self.outputs.glob("reports/*/*")]
        return {str(path.relative_to(self.outputs)): path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An undisturbed run on two workers."""
    outputs = tmp_path_factory.mktemp("whole")
    return Finished(outputs, succeed(command(outputs, *WHOLE)))


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same run on one worker with other shards, killed with signal 9 in the labels and again in the edits."""
    outputs = tmp_path_factory.mktemp("battered")
    for stage in ("labels/train-*", "edits/*"):
        kill_when(command(outputs, *BATTERED), outputs, f"stages/{stage}/*.parquet")
        assert not (outputs / "latest").exists()
    return Finished(outputs, succeed(command(outputs, *BATTERED)))


def kill_when(arguments: list[str], outputs: Path, pattern: str) -> None:
    """Start a run in its own process group and kill it all as soon as a file of that pattern is there."""
    process = subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while not any(outputs.glob(pattern)):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"no {pattern} appeared"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_tables_are_complete(whole: Finished) -> None:
    assert len(whole.table("edits")) == 3 * 2 * SIZES["n_faces"] * SIZES["n_steps"]
    assert len(whole.table("ranges")) == 3 * 2
    assert {row["profile"] for row in whole.table("scores")} == {"smoke"}
    noop = {key: value for key, value in whole.scores().items() if key[1] == "noop"}
    assert all(abs(value) < 1e-5 for key, value in noop.items() if key[3] in UNMOVED)
    assert {key[3] for key in noop} > set(UNMOVED)
    assert len(whole.table("matched")) == 3 * 2 * SIZES["n_matched_faces"] * 2 * 4
    assert len(whole.table("rescoring")) == 3 * 2 * 2 * 4 * 35
    assert {value for key, value in noop.items() if key[3] == "unreached_share"} == {1.0}
    page = (whole.outputs / "latest" / "report.html").read_text()
    assert "smoke" in page
    assert str(whole.outputs) not in page


def test_killed_and_resumed_on_other_workers_gives_the_same(whole: Finished, battered: Finished) -> None:
    assert np.array_equal(whole.latents(), battered.latents())
    assert whole.table("edits") == battered.table("edits")
    assert whole.table("ranges") == battered.table("ranges")
    assert whole.table("matched") == battered.table("matched")
    # Linear algebra over all images of a method may end in another last bit on another number of workers.
    assert whole.scores() == pytest.approx(battered.scores(), rel=1e-5, abs=1e-5, nan_ok=True)


def test_a_second_run_computes_nothing(whole: Finished) -> None:
    before = whole.files()
    succeed(command(whole.outputs, *WHOLE))
    assert whole.files() == before


def test_query_prints_the_scores(whole: Finished) -> None:
    sql = "select method, attribute, value from scores where metric = 'identity_distance'"
    said = succeed([str(BIN / "latentbench"), "query", sql, "--outputs", str(whole.outputs)])
    for word in ("interfacegan", "l2l", "noop", "age", "yaw"):
        assert word in said


def test_damaged_shards_are_named_and_computed_again_alone(battered: Finished, tmp_path: Path) -> None:
    damaged = Finished(Path(shutil.copytree(battered.outputs, tmp_path / "damaged", symlinks=True)), battered.said)
    shard = sorted(damaged.outputs.glob("stages/labels/train-*/labels-*.parquet"))[0]
    faces = next(damaged.outputs.glob("stages/reference/faces-*/*.parquet"))
    before, content = damaged.files(), faces.read_bytes()
    shard.write_bytes(shard.read_bytes()[:1000])
    faces.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    said = succeed(command(damaged.outputs, *BATTERED))
    assert shard.name in said and faces.name in said
    changed = [path for path, when in damaged.files().items() if path in before and before[path] != when]
    assert sorted(changed) == sorted(str(path.relative_to(damaged.outputs)) for path in (shard, faces))
    assert pq.read_table(shard).num_rows == 256 and faces.read_bytes() == content
