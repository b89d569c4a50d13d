"""A run in one small file: what is in it, what reads it, and what is refused."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

import latentbench
from pipeline.errors import CorruptShardError, StageError
from pipeline.report import packed
from pipeline.report.archive import read_report_manifest
from pipeline.report.compare_runs import compare_runs
from pipeline.report.contents import read_contents
from pipeline.storage.files import file_sha256
from tests.builders import random_run

RUN_ID = "20261120T031500Z-1a2b3c4d"
TOP = f"run_id={RUN_ID}"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    random_run.publish_folder(folder, RUN_ID, random_run.whole(RUN_ID))
    return folder


@pytest.fixture(scope="module")
def file(outputs: Path) -> Path:
    path = outputs / "reference.tar.xz"
    assert sorted(packed.pack(outputs / "reports" / TOP, path)) == sorted(packed.PER_IMAGE)
    return path


def archive(path: Path, members: dict[str, bytes]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    path.write_bytes(lzma.compress(buffer.getvalue()))
    return path


def test_a_packed_run_is_a_published_one_without_rows_per_image(outputs: Path, file: Path, tmp_path: Path) -> None:
    folder = packed.unpack(file, tmp_path)
    assert folder == tmp_path / "reports" / TOP
    published = outputs / "reports" / TOP
    names = {path.name for path in published.glob("*.parquet")}
    assert {path.name for path in folder.glob("*.parquet")} == names
    kept = {name for name in names if name.removesuffix(".parquet") not in packed.PER_IMAGE}
    assert len(kept) > 6
    assert all(file_sha256(folder / name) == file_sha256(published / name) for name in kept)
    report = latentbench.report("latest", tmp_path)
    assert [report.table(name).num_rows for name in packed.PER_IMAGE] == [0] * len(packed.PER_IMAGE)
    assert read_report_manifest(folder)["left_out"] == [
        name.removesuffix(".parquet") for name in read_report_manifest(published)["files"] if name not in kept
    ]
    assert read_contents(folder).scores.equals(read_contents(published).scores)
    assert packed.unpack(file, tmp_path) == folder, "once more"
    assert [path.name for path in tmp_path.iterdir()] == ["reports"], "nothing is left"


def test_the_same_run_gives_the_same_bytes(outputs: Path, file: Path, tmp_path: Path) -> None:
    packed.pack(outputs / "reports" / TOP, tmp_path / "again.tar.xz")
    assert (tmp_path / "again.tar.xz").read_bytes() == file.read_bytes()
    folder = packed.unpack(file, tmp_path)
    packed.pack(folder, tmp_path / "repacked.tar.xz")
    assert (tmp_path / "repacked.tar.xz").read_bytes() == file.read_bytes()


def test_compare_takes_the_file_itself(outputs: Path, file: Path) -> None:
    found = compare_runs(outputs, str(file), "latest")
    assert found.comparable and found.run_a.run_id == RUN_ID
    assert len(found.rows) > 50 and set(found.rows["verdict"]) == {"same"}


@pytest.mark.parametrize("what", ["cut", "text", "two folders", "outside", "below", "no manifest", "other table"])
def test_what_is_no_packed_run_is_refused_and_nothing_is_left(what: str, file: Path, tmp_path: Path) -> None:
    with tarfile.open(file) as opened:
        members = {name: opened.extractfile(name).read() for name in opened.getnames()}  # type: ignore[union-attr]
    path = tmp_path / "strange.tar.xz"
    if what == "cut":
        path.write_bytes(file.read_bytes()[:-100])
    elif what == "text":
        path.write_text("no archive")
    elif what == "two folders":
        archive(path, {**members, "run_id=20261121T031500Z-1a2b3c4d/scores.parquet": b""})
    elif what == "outside":
        archive(path, {f"../{name}": data for name, data in members.items()})
    elif what == "below":
        archive(path, {**members, f"{TOP}/../../outside.parquet": b""})
    elif what == "no manifest":
        archive(path, {name: data for name, data in members.items() if not name.endswith("manifest.json")})
    else:
        archive(path, {**members, f"{TOP}/scores.parquet": members[f"{TOP}/ranges.parquet"]})
    with pytest.raises(CorruptShardError):
        packed.unpack(path, tmp_path / "outputs")
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.glob("outputs/reports/*"))


def test_a_huge_file_is_refused_before_it_fills_the_memory(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "LARGEST", 1 << 16)
    with pytest.raises(CorruptShardError):
        packed.unpack(file, tmp_path)


def test_a_file_that_is_missing_and_another_ending_are_errors_that_name_it(outputs: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"nowhere\.tar\.xz"):
        compare_runs(outputs, str(tmp_path / "nowhere.tar.xz"), "latest")
    with pytest.raises(StageError, match=r"run\.zip"):
        packed.pack(outputs / "reports" / TOP, tmp_path / "run.zip")
