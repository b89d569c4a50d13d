"""What a run takes on disk and in memory: beside what a real run wrote, at full scale, and against the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipeline.chain.links import Chain, Link
from pipeline.domains import base
from pipeline.errors import StageError
from pipeline.methods import registry
from pipeline.methods.interface import Method
from pipeline.planning import sizes
from pipeline.planning import whole as machine
from pipeline.planning.plan import SPARE, check_machine, disk_shortage, memory_shortage, plan, size, without_size
from pipeline.planning.sizes import Size, size_of
from pipeline.planning.table_bytes import GIB, MIB, row_bytes, table_bytes
from pipeline.planning.whole import Whole, free_disk, in_mib, report_size, whole
from pipeline.tables import schemas
from pipeline.tables.parquet import write_table
from tasks.cli import app
from tasks.cli.options import request
from tests.worlds import px16
from tests.worlds.px16 import scene_settings

LOW, HIGH = 0.8, 2.0  # of what was written
HIGHEST = 2.5  # of a single stage's: an untrained perception net's vectors are mostly zeros, which zstd takes out


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Every stage of a real run of 16 px."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
        settings = scene_settings(tmp_path_factory.mktemp("run"), methods=("random",))
        experiment = replace(
            settings.experiment,
            n_faces=4,
            n_steps=3,
            n_matched_faces=2,
            n_rate_faces=2,
            n_consistency_faces=2,
            bisections=1,
        )
        chain = Chain(replace(settings, experiment=experiment))
        for link in chain.links:
            link.run()
        yield chain


def full(tmp_path: Path, **changes: object) -> Chain:
    """Profile full with a card as FFHQ's would be."""
    chain = request(profile="full", outputs=tmp_path).chain
    chain.card = replace(chain.card, resolution=1024, feature_width=2048, classes=1008, channels=0, **changes)
    return chain


def stage_size(chain: Chain, link: Link) -> Size | None:
    return size_of(chain.settings, chain.card, link.stage.name, link.units, link.method)


def test_disk_is_what_a_real_run_wrote(small_run: Chain) -> None:
    written: dict[str, int] = {}
    reckoned: dict[str, int] = {}
    for link in small_run.links:
        folder = link.stage.folder(small_run.settings.outputs)
        name = link.stage.name
        written[name] = written.get(name, 0) + sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        reckoned[name] = reckoned.get(name, 0) + stage_size(small_run, link).bytes_written
    ratios = {name: reckoned[name] / written[name] for name in written if name != "train"}
    assert {name: ratio for name, ratio in ratios.items() if not LOW <= ratio <= HIGHEST} == {}
    assert LOW <= sum(reckoned.values()) / sum(written.values()) <= HIGH
    assert set(written) == {*sizes._SIZERS, "train"}, "every stage of a chain has its size"


@pytest.mark.parametrize("rows", [300, 3000])
def test_vectors_and_values_of_any_number_of_rows(rows: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = schemas.features(128, 24)
    columns = {
        "attribute": ["age"] * rows,
        "face_id": np.arange(rows),
        "step": np.zeros(rows, np.int32),
        "feature": rng.standard_normal((rows, 128), dtype=np.float32),
        "logits": rng.standard_normal((rows, 24), dtype=np.float32),
    }
    path = tmp_path / "features.parquet"
    write_table(columns, vectors, path)
    assert LOW <= table_bytes(vectors, rows, 1) / path.stat().st_size <= 1.2


def test_a_row_grows_with_its_columns() -> None:
    one = pa.schema([pa.field("a", pa.list_(pa.float32(), 512))])
    assert 0.8 * 2048 < row_bytes(one) < 2048
    assert row_bytes(pa.schema([pa.field("a", pa.list_(pa.float64()))]), {"a": 50}) == 10 * row_bytes(
        pa.schema([pa.field("a", pa.list_(pa.float64()))]), {"a": 5}
    )


@pytest.mark.parametrize(
    ("name", "parameters", "written"),
    [  # as runs of profile smoke wrote them
        ("l2l", {"layers": 4, "width": 512}, 5_350_510),
        ("styleflow", {"layers": 5, "width": 512, "steps": 60}, 6_559_227),
        ("latentclr", {"directions": 12, "depth": 3, "tap": "b16"}, 38_007_808),
        ("llf", {"clusters": 5, "directions": 3, "depth": 3}, 47_514_366),
        ("interfacegan", {"chosen": 0.02, "c": 1.0}, 82_461),
    ],
)
def test_what_a_method_learned(name: str, parameters: dict[str, object], written: int) -> None:
    cost = registry.build(name, parameters).cost(base.describe("synthface"))
    assert cost is not None and LOW <= cost.trained_bytes / written <= 1.2


def test_a_method_without_a_cost_is_not_known_and_counts_nothing(
    small_run: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = whole(small_run, [True] * len(small_run.links))
    train = next(link for link in small_run.links if link.stage.name == "train")
    written = stage_size(small_run, train).bytes_written
    monkeypatch.setattr(registry.get("random"), "cost", Method.cost)
    assert stage_size(small_run, train) is None
    assert without_size(plan(small_run)) == (train.title,)
    assert whole(small_run, [True] * len(small_run.links)).bytes_written == known.bytes_written - written


def test_a_stage_without_a_sizer_is_not_known(small_run: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sizes._SIZERS, "gallery")
    gallery = next(link for link in small_run.links if link.stage.name == "gallery")
    assert stage_size(small_run, gallery) is None


def test_profile_full_at_1024_px(tmp_path: Path) -> None:
    chain = full(tmp_path)
    sizes = {link.title: stage_size(chain, link) for link in chain.links}
    assert 0.6 * GIB < sizes["latents train"].bytes_written < 0.82 * GIB  # 400,000 x 512 float32 are .76 GiB
    assert 50 * MIB < sizes["labels train"].bytes_written < 57.6 * MIB * 1.1
    vectors = chain.settings.experiment.edits_per_method * (2048 + 1008) * 4
    assert 0.8 * vectors < sizes["edits l2l"].bytes_written < 1.2 * vectors
    assert sizes["labels train"].device_bytes > 8 * 4 * 32 * 1024**2 * 4, (
        "eight images of four maps of 32 x 1024 x 1024"
    )
    assert sizes["scores l2l"].peak_bytes > 50 * 2048**2 * 8, "a covariance of each of 50 faces"
    assert sizes["train interfacegan"].peak_bytes > 400_000 * 512 * 4
    assert sizes["train l2l"].device_bytes > sizes["edits l2l"].device_bytes, "a gradient through the generator"
    found = whole(chain, [True] * len(chain.links))
    assert found.bytes_written == found.bytes_to_write <= found.disk_needed
    assert (
        found.bytes_written
        == sum(size.bytes_written for size in sizes.values()) + report_size(chain.settings).bytes_written
    )
    assert 3 * GIB < found.bytes_written < 20 * GIB


def test_only_what_is_missing_is_still_to_write(small_run: Chain) -> None:
    found = size(small_run, plan(small_run))
    assert found.bytes_to_write == 0 and found.disk_needed == 0 and found.bytes_written > 100_000
    assert found.disk_free == free_disk(small_run.settings.outputs) > 0
    some = whole(small_run, [link.stage.name == "latents" for link in small_run.links])
    assert 0 < some.bytes_to_write < found.bytes_written


def test_more_workers_hold_more_and_a_gpu_holds_the_images(tmp_path: Path) -> None:
    chain = full(tmp_path)

    def peak(**machine: object) -> Whole:
        chain.settings = chain.settings.on(**machine)
        return whole(chain, [True] * len(chain.links))

    one, ten = peak(workers=1), peak(workers=10)
    assert ten.peak_bytes > one.peak_bytes and ten.worker_bytes == one.worker_bytes and one.device_bytes == 0
    gpus = peak(device="cuda", devices=("cuda:0", "cuda:1"))
    assert gpus.workers == 2 and gpus.device_bytes > 4 * GIB
    assert gpus.worker_bytes < one.worker_bytes


def short_of(chain: Chain, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(machine, "free_disk", lambda outputs: free)
    assert disk_shortage(chain, size(chain, plan(chain)))


def test_a_run_that_the_disk_cannot_hold_stops_before_it_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = full(tmp_path)
    short_of(chain, monkeypatch, 3 * MIB)
    with pytest.raises(
        StageError,
        match=r"would write about .* GiB: .*, found 3\.0 MiB\. .*latentbench gc.*--outputs.*check_disk=false",
    ):
        check_machine(chain)
    chain.settings = chain.settings.on(check_disk=False)
    assert "found 3.0 MiB" in check_machine(chain)
    monkeypatch.undo()
    chain.settings = chain.settings.on(check_disk=True)
    if free_disk(tmp_path) > 20 * GIB:
        assert check_machine(chain) == ""


def test_what_a_run_needs_is_an_estimate_with_a_margin_and_a_run_that_writes_nothing_always_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = full(tmp_path)
    needed = whole(chain, [True] * len(chain.links)).disk_needed
    enough = int(needed * 1.1) + SPARE + 1
    for free, fits in ((needed, False), (enough - 2, False), (enough, True)):
        monkeypatch.setattr(machine, "free_disk", lambda outputs, free=free: free)
        assert (disk_shortage(chain, whole(chain, [True] * len(chain.links))) == "") == fits
    monkeypatch.setattr(machine, "free_disk", lambda outputs: 0)
    assert disk_shortage(chain, whole(chain, [False] * len(chain.links))) == ""


def test_the_command_line_refuses_and_can_be_told_not_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_disk", lambda outputs: 1000)
    arguments = ["--profile", "smoke", "--method", "noop", "--attribute", "age", "--outputs", str(tmp_path)]
    refused = CliRunner().invoke(app, ["run", *arguments])
    assert refused.exit_code == 2 and "Nothing was computed" in refused.stderr
    assert not list(tmp_path.iterdir())
    shown = CliRunner().invoke(app, ["plan", *arguments])
    assert shown.exit_code == 0 and "warning" in shown.stdout and "found 1 KiB" in " ".join(shown.stdout.split())
    told = json.loads(CliRunner().invoke(app, ["plan", "--json", *arguments]).stdout)
    assert told["size"]["disk_free"] == 1000 and len(told["warnings"]) == 1
    assert (
        sum(row["bytes_written"] for row in told["stages"]) + told["report_bytes_written"]
        == told["size"]["bytes_written"]
    )
    assert all(row["peak_bytes"] > 0 for row in told["stages"])


def test_too_little_memory_is_a_warning(tmp_path: Path) -> None:
    found = whole(full(tmp_path), [True] * len(full(tmp_path).links))
    assert memory_shortage(replace(found, memory=found.peak_bytes)) == ""
    assert "this machine has 2.0 GiB of memory. Take fewer workers" in memory_shortage(replace(found, memory=2 * GIB))


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 KiB"), (1, "1 KiB"), (5 * MIB, "5.0 MiB"), (819 * MIB, "819 MiB"), (3.44 * GIB, "3.4 GiB")],
)
def test_bytes_as_people_read_them(count: float, told: str) -> None:
    assert in_mib(count) == told
