"""Workers that do not see the outputs folder: what they read comes to them, what they write comes back."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import LocalCluster

from pipeline.errors import CorruptShardError, StageError
from pipeline.execution import admission, dispatch, transfer
from pipeline.execution import shards as compute
from pipeline.execution.shards import Progress, run_stage
from pipeline.execution.transfer import Arrival, Courier, FilePart, make_room, take_shard
from pipeline.settings.settings import Settings
from pipeline.storage.manifests import ShardRecord
from pipeline.storage.stages import STAGES, IdRange, Stage, is_complete, read_manifest, write_shard
from pipeline.tables.parquet import read_stage
from pipeline.tables.schemas import LATENTS
from tests.builders.counting_stage import STAGE, Work, dask, files, run, settings

READER = Stage("sums", 1, {}, {}, (STAGE,), label="toy")
SHARD = IdRange("sums.json", 0, 1024)


def add(work: Work, shard: IdRange, progress: Progress) -> ShardRecord:
    """The sum of all numbers of STAGE, which is read from the outputs folder of the work."""
    table = read_stage(STAGE, work.settings.outputs, LATENTS)
    total = float(sum(table.column("w").chunk(0).flatten().to_numpy()))

    def write(path: Path) -> int:
        return path.write_text(json.dumps([total, str(work.settings.outputs)]))

    return write_shard(READER.folder(work.settings.outputs), shard.name, write)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address=None,
        local_directory=str(tmp_path_factory.mktemp("workers")),
    ) as found:
        yield found
        compute.close()


@pytest.fixture
def apart(cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a run whose workers do not see the outputs folder; files are sent in parts of 64 KiB."""
    for module in (admission, dispatch):
        monkeypatch.setattr(module, "sees", lambda probe: False)
    monkeypatch.setattr(transfer, "PART", 2**16)
    return dask(tmp_path / "outputs", scheduler=cluster.scheduler_address)


def total(run_settings: Settings) -> tuple[float, str]:
    run_stage(Work(run_settings, READER), add, [SHARD])
    value, folder = json.loads((READER.folder(run_settings.outputs) / SHARD.name).read_text())
    return value, folder


def test_files_travel_both_ways_and_are_equal_to_the_bit(apart: Settings, tmp_path: Path) -> None:
    run(apart, tmp_path / "notes")
    here = settings(tmp_path / "here")
    run(here, tmp_path / "notes")
    assert files(apart.outputs) == files(here.outputs) and files(here.outputs)
    value, folder = total(apart)
    assert value == total(here)[0] and "latentbench" in folder and not folder.startswith(str(apart.outputs))
    assert is_complete(READER, apart.outputs)
    assert {record.name for record in read_manifest(STAGE, apart.outputs).shards} == set(files(here.outputs))


def test_a_file_is_fetched_once_and_again_when_it_changed(
    apart: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    part = Courier.part
    monkeypatch.setattr(
        Courier, "part", lambda courier, name, offset: asked.append(name) or part(courier, name, offset)
    )
    run(apart, tmp_path / "notes")
    for path in transfer_roots(apart):
        for file in path.glob(f"{STAGES}/numbers/*/*.parquet"):
            file.write_bytes(b"other bytes")  # as another run may have left it
    first = total(apart)
    sent = len(asked)
    assert {Path(name).suffix for name in asked} == {".parquet", ".json"}
    assert len(asked) > len(set(asked)), "a large file comes in several parts"
    (READER.folder(apart.outputs) / "manifest.json").unlink()
    (READER.folder(apart.outputs) / f"{SHARD.name}.json").unlink()
    second = total(apart)
    assert first[0] == second[0]
    assert len(asked) == sent or second[1] != first[1], "nothing is asked again by the same worker"


def transfer_roots(apart: Settings) -> list[Path]:
    workers = compute.workers_for(apart.machine).client.run(lambda dask_worker: dask_worker.local_directory)
    return [path for folder in workers.values() for path in (Path(folder) / "latentbench").glob("*")]


def test_a_file_that_is_gone_is_said(apart: Settings, tmp_path: Path) -> None:
    run(apart, tmp_path / "notes")
    for path in STAGE.folder(apart.outputs).glob("*.parquet"):
        path.unlink()
    for root in transfer_roots(apart):
        for path in root.glob(f"{STAGES}/*/*/*.parquet"):
            path.unlink()
    with pytest.raises(StageError, match=r"latents-.*\.parquet: No such file"):
        total(apart)


def test_no_file_outside_of_the_stages_is_sent(tmp_path: Path) -> None:
    (tmp_path / STAGES).mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / STAGES / "link").symlink_to(tmp_path / "secret")
    courier = Courier(None, tmp_path, tmp_path / STAGES)  # type: ignore[arg-type]
    names = ("secret", f"{STAGES}/../secret", "/etc/passwd", f"{STAGES}/link")
    parts = [courier.part(name, 0) for name in names]
    assert [part.content for part in parts] == [b""] * 4 and all("in no stage" in part.fault for part in parts)


def test_other_bytes_than_the_record_are_not_taken(tmp_path: Path) -> None:
    record = ShardRecord("a.parquet", 1, "0" * 64, 1, 0.0)
    with pytest.raises(CorruptShardError, match=r"a\.parquet"):
        take_shard(tmp_path, record, b"x")
    with pytest.raises(ValueError, match="name"):
        take_shard(tmp_path, replace(record, name="../a.parquet"), b"x")
    assert not list(tmp_path.iterdir())


def test_a_part_that_came_before_is_dropped() -> None:
    arrival = Arrival(offset=4)
    arrival.take(FilePart(0, b"abcd", 8))
    assert arrival.part is None
    arrival.take(FilePart(4, b"efgh", 8))
    assert arrival.part == FilePart(4, b"efgh", 8) and arrival.came.is_set()


def test_the_oldest_files_make_room(tmp_path: Path) -> None:
    for number in range(4):
        path = tmp_path / "run" / f"{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 10)
        os.utime(path, (number, number))
    make_room(tmp_path, kept=25)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["2", "3"]
    make_room(tmp_path / "absent", kept=0)


def test_a_worker_that_is_gone_stops_no_other(tmp_path: Path) -> None:
    class Gone:
        async def run(self, *arguments: object, **options: object) -> None:
            raise OSError("no route to host")

    async def ask() -> list[None]:
        courier = Courier(Gone(), tmp_path, tmp_path / STAGES)  # type: ignore[arg-type]
        await courier.heard((0.0, ("tcp://gone:1", "topic", f"{STAGES}/a", 0)))
        return await asyncio.gather(*courier._sending)

    assert asyncio.run(ask()) == [None]
