"""The suite of faults: what counts as right, what is saved, and whether a difference of one bit is seen."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.faults import damage, ground, processes
from benchmarks.faults.__main__ import FAULTS
from benchmarks.faults.ground import Ground
from benchmarks.faults.kills import SHARES
from benchmarks.faults.outcome import Fault, Result, Results, table
from benchmarks.faults.processes import Command, Ended, reason
from tests.builders import random_edits, random_run

LEAVES = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"


def fault(name: str) -> Fault:
    return Fault(name, f"the fault {name}", lambda ground: [])


def test_the_names_are_unique_and_every_fault_has_cases(tmp_path: Path) -> None:
    names = [each.name for each in FAULTS]
    assert len(set(names)) == len(names) > 20
    small = Ground(tmp_path)
    (tmp_path / "undisturbed").mkdir()
    (tmp_path / "undisturbed.seconds").write_text("20")
    without = [name for name, each in zip(names, FAULTS, strict=True) if not list(each.cases(small))]
    assert without == ["damaged", "cut"], "whose undisturbed run holds no file here"


def test_as_many_processes_are_killed_as_asked_for() -> None:
    assert sum(round(50 * share) for share in SHARES.values()) == 50


def test_a_result_is_saved_at_once_and_the_last_one_counts(tmp_path: Path) -> None:
    Results(tmp_path).add(Result("a", "x", "0" * 40, 2.0, 3, 2, 1, ["a traceback"]))
    Results(tmp_path).add(Result("a", "x", "1" * 40, 1.0, 3, 3))
    results = Results(tmp_path)
    assert results.of("a") == [Result("a", "x", "1" * 40, 1.0, 3, 3)]


def test_the_table_counts_and_says_what_was_not_tried(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add(Result("a", "x", "0123456789" * 4, 2.0, 3, 2, 1, ["a traceback"]))
    results.add(Result("a", "y", "0123456789" * 4, 3.0, 1, 1))
    results.add(Result("b", "x", "0123456789" * 4, 0.0, skipped="not tried: needs root"))
    text = table([fault("a"), fault("b"), fault("c")], results)
    assert "| the fault a | 4 | 3 | 1 | 5 | 0123456 |" in text
    assert text.count("| not tried |") == 2
    assert "- the fault a (x): a traceback" in text and "- the fault b (x): not tried: needs root" in text


def test_what_is_not_right_is_said() -> None:
    assert Ended(0, "", "", 1.0).faults([0]) == []
    assert Ended(30, "", "failed edits: no memory\nlast", 1.0).faults([0]) == [
        "exit code 30, expected 0: failed edits: no memory"
    ]
    assert len(Ended(0, "", "Traceback (most recent call last):\n", 1.0, ("a worker",)).faults([0], "full")) == 3
    assert Ended(-9, "", "", 600.0, hung=True).faults([0]) == ["did not end within 600 s"]
    assert reason("") == "(nothing printed)"


def test_a_process_that_is_left_is_seen_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ENDS_WITHIN", 0.1)
    command = Command([sys.executable, "-c", LEAVES], tmp_path)
    ended = command.end(30)
    assert ended.code == 0 and len(ended.orphans) == 1 and "time.sleep" in ended.orphans[0]
    deadline = time.monotonic() + 5
    while processes.marked(command.mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.marked(command.mark) == {}
    assert os.listdir(tmp_path) == [], "what it printed is read and removed"


def test_one_other_bit_is_seen_and_another_run_id_is_not(tmp_path: Path) -> None:
    edits = random_edits.edits(n_faces=2)
    folders = [tmp_path / name for name in ("before", "after")]
    for folder, run_id in zip(folders, ("20261120T031500Z-0a1b2c3d", "20261121T031500Z-0a1b2c3d"), strict=True):
        random_run.publish_folder(folder, run_id, {"edits": edits})
    assert ground.different(*folders) == []
    column = edits.schema.names.index("strength")
    values = edits.column(column).to_pylist()
    moved = pa.array([np.nextafter(values[0], 9.0), *values[1:]], edits.schema.field(column).type)
    random_run.publish_folder(
        folders[1], "20261122T031500Z-0a1b2c3d", {"edits": edits.set_column(column, edits.schema.field(column), moved)}
    )
    assert ground.different(*folders) == ["table edits differs"]
    assert ground.different(tmp_path / "nowhere", folders[0]) == [f"no run is published under {tmp_path / 'nowhere'}"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("rates.json", "rates.json"),
        ("stages/edits/noop-0123456789abcdef/edits-age-000000-000002.parquet", "stages/edits/edits-age"),
        ("stages/edits/noop-0123456789abcdef/edits-age-000000-000002.parquet.json", "stages/record"),
        ("stages/train/noop-0123456789abcdef/method.json", "stages/train/method.json"),
        ("stages/train/noop-0123456789abcdef/method.json.json", "stages/record"),
        ("stages/train/noop-0123456789abcdef/manifest.json", "stages/manifest"),
        ("stages/train/noop-0123456789abcdef/.lock", "stages/lock"),
        ("reports/run_id=20261128T123928Z-c9e19a11/manifest.json", "reports/manifest.json"),
    ],
)
def test_kinds_of_files(path: str, kind: str) -> None:
    assert damage.kind(Path(path)) == kind


def test_damage_changes_one_byte_or_leaves_half(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcd")
    damage.change_a_byte(path)
    assert path.read_bytes() == b"ab\x9cd"
    damage.cut_to_half(path)
    assert path.read_bytes() == b"ab"
