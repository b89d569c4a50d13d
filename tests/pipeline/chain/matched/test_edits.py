"""Edits at matched change: strengths that are known are found, nothing is dropped, and no bit depends on the shards."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline.attributes import NAMES, index_of
from pipeline.chain.inputs import Spread, load_method, read_range, read_spread, read_values, read_w
from pipeline.chain.links import Chain
from pipeline.chain.matched import edits as matched
from pipeline.chain.matched.edits import Matching, match
from pipeline.chain.matched.scores import matched_set, matrix
from pipeline.domains import base
from pipeline.methods.controls import NoOp
from pipeline.methods.interface import Method, silent
from pipeline.metrics.base import get
from pipeline.networks.pairs import perceptual_distance, structural_similarity
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.stages import read_manifest
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage, write_table
from pipeline.tables.schemas import CHANGE_COLUMNS, MATCHED, change_column
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px16, toy
from tests.worlds.along import Along

LEVELS = (0.5, 1.0, 1.5, 2.0)
SIGMA = 1.5  # then a step of length 1 along an attribute's direction is one standard deviation
SPREAD = Spread(np.full(35, SIGMA), np.full(35, 2 * SIGMA))
MEASURED = ("identity_mtcnn", "identity_recognizer_a", "identity_recognizer_b", "lpips", "ssim")


def toy_edits(
    method: Method,
    attribute: str = "age",
    *,
    count: int = 8,
    detector: toy.Detector | None = None,
    spread: Spread = SPREAD,
    **changes: Any,
) -> pa.Table:
    """The rows of the table for some faces of the toy, whose attributes' logits are linear in w."""
    domain = toy.load(detector=detector or toy.Detector(radius=math.inf))
    options = {"low": -12.0, "high": 12.0, "cap": 1.5, "levels": LEVELS, "rounds": 20, "tolerance": 0.01} | changes
    matching = Matching(attribute, threshold=0.9, **options)
    with torch.inference_mode():
        columns = match(domain, method, 100 + np.arange(count), toy.faces(count), matching, spread, silent)
    return pa.table(
        {name: columns.get(name, pa.nulls(len(columns["level"]), MATCHED.field(name).type)) for name in MATCHED.names}
    )


def numbers(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).to_numpy().astype(float)


@pytest.mark.parametrize("scale", [1.0, -1.0, 4.0])
def test_a_linear_method_is_searched_to_its_known_strengths(scale: float) -> None:
    table = toy_edits(Along(scale=scale))
    wanted = numbers(table, "direction") * numbers(table, "level") / scale
    assert table.column("reached").to_pylist() == [True] * 64 and table.column("unreached").null_count == 64
    np.testing.assert_allclose(numbers(table, "strength"), wanted, atol=0.02 / abs(scale))
    np.testing.assert_allclose(numbers(table, "change_a"), numbers(table, "strength") * scale, atol=1e-3)
    np.testing.assert_allclose(numbers(table, "change_b"), numbers(table, "change_a") / 2, atol=1e-3)
    np.testing.assert_allclose(
        numbers(table, "displacement"), np.abs(wanted * scale) / toy.MEAN_DISTANCE, rtol=0.03, atol=1e-4
    )


def test_changes_of_the_others_are_those_of_geometry() -> None:
    """Smile's and pitch's directions have a cosine of 0.6; all others are at right angles to smile's."""
    table = toy_edits(Along(), "expression")
    own = numbers(table, "change_b")
    np.testing.assert_allclose(numbers(table, change_column("smile")), own, atol=1e-6)
    np.testing.assert_allclose(numbers(table, change_column("pitch")), 0.6 * own, atol=1e-3)
    rest = [change_column(name) for name in NAMES if name not in ("smile", "pitch")]
    assert max(np.abs(numbers(table, name)).max() for name in rest) < 1e-3


def test_no_edit_reaches_no_level_and_keeps_its_rows() -> None:
    table = toy_edits(NoOp(), high=1.0, low=-1.0)
    assert table.num_rows == 8 * 2 * 4
    assert not any(table.column("reached").to_pylist()) and set(table.column("unreached").to_pylist()) == {"weak"}
    for name in ("strength", "displacement", "detected", "change_a", "change_b", *CHANGE_COLUMNS, *MEASURED):
        assert table.column(name).null_count == table.num_rows


def test_what_scorer_a_could_not_tell_is_no_fault_of_the_method() -> None:
    """Levels that would take a logit over 7, of which a start of 3 leaves no more than 4 / 1.5 of the way."""
    table = toy_edits(Along(), levels=(1.0, 4.0), high=20.0, low=-20.0)
    along = (toy.draw_w(8, 99) @ toy.DIRECTIONS[index_of("age")]).double().numpy()
    end = along[table.column("face_id").to_numpy() - 100] + numbers(table, "direction") * numbers(table, "level")
    expected = np.where(np.abs(SIGMA * end) > 7.0 + 0.01 * SIGMA, "ceiling", "")
    assert [name or "" for name in table.column("unreached").to_pylist()] == expected.tolist()
    assert set(expected) == {"ceiling", ""}


def test_no_edit_goes_beyond_the_cap() -> None:
    """A cap of 1.2 lengths lets the levels 0.5 and 1 be reached, whatever the range would allow."""
    table = toy_edits(Along(), cap=1.2 / toy.MEAN_DISTANCE)
    assert (table.column("reached").to_numpy() == (numbers(table, "level") < 1.2)).all()
    assert np.nanmax(numbers(table, "displacement")) <= 1.2 / toy.MEAN_DISTANCE * 1.001


def test_where_the_face_is_lost_the_change_is_not_reached() -> None:
    direction = toy.DIRECTIONS[index_of("age")]
    table = toy_edits(Along(), detector=toy.Detector(math.inf, direction, 1.6))
    along = (toy.draw_w(8, 99) @ direction).double().numpy()
    start = along[table.column("face_id").to_numpy() - 100]
    expected = np.where(start > 1.6, "unedited", np.where(start + numbers(table, "strength") > 1.6, "lost", ""))
    assert [name or "" for name in table.column("unreached").to_pylist()] == expected.tolist()
    assert {"lost", "", "unedited"} >= set(expected) >= {"lost", ""}
    lost = expected == "lost"
    assert not any(table.filter(pa.array(lost)).column("detected").to_pylist())
    assert np.isfinite(numbers(table, "strength")[lost]).all(), "the strength at which it was lost is told"
    for name in (*MEASURED, *CHANGE_COLUMNS, "change_b", *schemas.VALUE_COLUMNS):
        assert (np.isfinite(numbers(table, name)) == (expected == "")).all(), name


def without(*, a: str = "", b: str = "") -> Spread:
    """The spread of scorers of which A or B has no unit for an attribute."""
    sigmas = []
    for given, name in ((SPREAD.a, a), (SPREAD.b, b)):
        sigmas.append(np.where([own == name for own in NAMES], np.nan, given))
    return Spread(*sigmas)


def test_an_attribute_without_a_unit_has_no_change_and_is_in_no_dependency() -> None:
    """Pitch goes along with a smile by 0.6 of it: the only side effect, which is left out with pitch."""
    whole, table = toy_edits(Along(), "expression"), toy_edits(Along(), "expression", spread=without(b="pitch"))
    assert table.column(change_column("pitch")).null_count == table.num_rows
    assert table.column("strength").equals(whole.column("strength"))

    def largest(rows: pa.Table) -> float:
        edits = matched_set(rows, "along", "expression", 1.0, Bootstrap(20))
        (judgement,) = get("attribute_dependency_max").score(edits)
        return judgement.estimate.value

    assert largest(whole) == pytest.approx(0.6 * 0.5, abs=1e-2) and largest(table) < 1e-2
    cells = list(matrix(table, "along", ("expression",), (1.0,), Bootstrap(20)))
    null = {cell["scored_attribute"] for cell in cells if cell["change"] is None and cell["ci_low"] is None}
    assert null == {"pitch"}


def test_the_edited_attribute_may_have_no_unit() -> None:
    table = toy_edits(Along(), spread=without(a="age"))
    assert not any(table.column("reached").to_pylist()) and set(table.column("unreached").to_pylist()) == {"no unit"}
    table = toy_edits(Along(), spread=without(b="age"))
    assert all(table.column("reached").to_pylist()) and table.column("change_b").null_count == table.num_rows
    assert get("attribute_change_reported").score(matched_set(table, "along", "age", 1.0, Bootstrap(20))) == []


def test_batches_of_faces_do_not_change_the_strengths() -> None:
    few, many = toy_edits(Along(bound=3.0), count=3), toy_edits(Along(bound=3.0), count=40)
    np.testing.assert_allclose(numbers(few, "strength"), numbers(many, "strength")[: 3 * 8], rtol=1e-4)


# As stages


def run_to_matched(settings: Settings) -> None:
    """Everything that matched edits are made from, and they."""
    for which in ("train", "reference", "faces", "matched"):
        compute(settings, "latents", which)
    for which in ("train", "faces", "matched"):
        compute(settings, "labels", which)
    compute(settings, "spread")
    for method in settings.method_names:
        compute(settings, "train", method)
        Chain(settings).calibrate_all(method, settings.experiment.attributes)
        compute(settings, "matched", method)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Six faces in blocks of two; the range is calibrated on the same six."""
    patch = pytest.MonkeyPatch()
    patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    patch.setattr(matched, "SHARD_FACES", 2)
    settings = px16.scene_settings(tmp_path_factory.mktemp("matched"), ("noop", "random"))
    run_to_matched(settings)
    yield settings
    patch.undo()


def rows(settings: Settings, method: str) -> pa.Table:
    return read_stage(stage_of(settings, "matched", method), settings.outputs, MATCHED)


def test_every_change_has_its_row(run: Settings) -> None:
    for method in ("noop", "random"):
        table = rows(run, method)
        keys = list(
            zip(
                *(table.column(name).to_pylist() for name in ("attribute", "face_id", "direction", "level")),
                strict=True,
            )
        )
        assert len(set(keys)) == len(keys) == run.experiment.matched_per_method == 2 * 6 * 2 * 4
    assert not any(rows(run, "noop").column("reached").to_pylist())
    assert 0.1 < np.mean(rows(run, "random").column("reached").to_pylist()), "else nothing is tested here"


@torch.no_grad()
def test_rows_are_what_a_plain_loop_computes(run: Settings) -> None:
    """One image at a time, from the codes up."""
    domain, method = base.load(px16.NAME, "cpu"), load_method(reading(run, "train", "random"))
    spread = read_spread(reading(run, "spread"))
    ids, w = read_w(reading(run, "latents", "matched"), "matched")
    _, labels, _ = read_values(reading(run, "labels", "matched"), "matched")
    reached = [row for row in rows(run, "random").to_pylist() if row["reached"]]

    def logit(values: torch.Tensor) -> np.ndarray:
        return values.double().clamp(1e-9, 1 - 1e-9).logit().clamp(-7, 7)[0].numpy()

    assert reached
    for row in reached[::5]:
        face = ids.tolist().index(row["face_id"])
        ws = domain.generator.mapping.broadcast(torch.from_numpy(w[face : face + 1]))
        strengths = torch.zeros(1, 35)
        column = index_of(row["attribute"])
        strengths[0, column] = row["strength"]
        edited = method.edit(ws, strengths, torch.from_numpy(labels[face : face + 1]))
        image, before = (domain.generator.synthesis(code).clamp(-1, 1) for code in (edited, ws))
        by_a = (logit(domain.scorer_a(image)) - logit(domain.scorer_a(before)))[column] / spread.a[column]
        assert row["change_a"] == pytest.approx(by_a, abs=1e-3)
        assert abs(row["direction"] * by_a - row["level"]) <= row["tolerance"] + 1e-3
        by_b = (logit(domain.scorer_b(image)) - logit(domain.scorer_b(before))) / spread.b
        np.testing.assert_allclose([row[name] for name in CHANGE_COLUMNS], by_b, atol=1e-3)
        assert row["change_b"] == pytest.approx(by_b[column], abs=1e-3)
        distance = 1 - float((domain.recognizer_b(image) * domain.recognizer_b(before)).sum())
        assert row["identity_recognizer_b"] == pytest.approx(distance, abs=1e-5)
        assert row["lpips"] == pytest.approx(float(perceptual_distance(domain.perception)(image, before)), abs=1e-4)
        assert row["ssim"] == pytest.approx(float(structural_similarity(image, before)), abs=1e-4)
        assert row["detected"] and row["true_identity_error"] == pytest.approx(0.35)


def test_no_strength_is_beyond_what_a_calibrated_face_could_bear(run: Settings) -> None:
    table = rows(run, "random").to_pandas()
    assert run.experiment.attributes
    for attribute in run.experiment.attributes:
        limits = read_range(reading(run, "range", "random", attribute), attribute)
        found = table[table["attribute"] == attribute]["strength"].dropna()
        assert len(found)
        assert found.between(min(limits["face_low"]), max(limits["face_high"])).all()


def test_spread_is_that_of_the_reference_images(run: Settings) -> None:
    domain = base.load(px16.NAME, "cpu")
    _, w = read_w(reading(run, "latents", "reference"), "reference")
    chosen = torch.from_numpy(w[: run.experiment.n_spread])
    with torch.inference_mode():
        images = domain.generator.synthesis(domain.generator.mapping.broadcast(chosen)).clamp(-1, 1)
        logits = [scorer(images).double().logit().clamp(-7, 7).numpy() for scorer in (domain.scorer_a, domain.scorer_b)]
    spread = read_spread(reading(run, "spread"))
    np.testing.assert_allclose(spread.a, logits[0].std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(spread.b, logits[1].std(axis=0), rtol=1e-4)


def test_order_of_shards_and_machine_change_no_bit(run: Settings, tmp_path: Path, monkeypatch: Any) -> None:
    """The same run with its shards computed backwards, on another shard size of the machine."""
    blocks = matched.blocks
    other = px16.scene_settings(tmp_path, ("random",), shard_size=512)
    monkeypatch.setattr(matched, "blocks", lambda *cut: list(reversed(blocks(*cut))))
    run_to_matched(other)
    keys = [("attribute", "ascending"), ("face_id", "ascending"), ("direction", "ascending"), ("level", "ascending")]
    assert rows(other, "random").sort_by(keys).equals(rows(run, "random").sort_by(keys))
    assert stage_of(other, "matched", "random") == stage_of(run, "matched", "random")


@pytest.fixture
def copy(run: Settings, tmp_path: Path) -> Settings:
    """The run in a folder of its own, for a test that damages it."""
    return replace(run, outputs=Path(shutil.copytree(run.outputs, tmp_path / "copy")))


def test_a_lost_file_alone_is_computed_again(copy: Settings) -> None:
    stage = stage_of(copy, "matched", "random")
    before = {record.name: record.sha256 for record in read_manifest(stage, copy.outputs).shards}
    lost, kept = (
        "matched-glasses-000002-000004.parquet",
        stage.folder(copy.outputs) / "matched-age-000000-000002.parquet",
    )
    changed = kept.stat().st_mtime_ns
    (stage.folder(copy.outputs) / lost).write_bytes(b"PAR1")
    compute(copy, "matched", "random")
    assert before == {record.name: record.sha256 for record in read_manifest(stage, copy.outputs).shards}
    assert kept.stat().st_mtime_ns == changed


def test_an_interrupted_run_goes_on_with_what_is_missing(copy: Settings, monkeypatch: Any) -> None:
    """Killed before it published, with one shard unwritten: that one is computed, and the result is the same."""
    stage = stage_of(copy, "matched", "random")
    before, folder = rows(copy, "random"), stage.folder(copy.outputs)
    for name in ("manifest.json", "matched-age-000004-000006.parquet", "matched-age-000004-000006.parquet.json"):
        (folder / name).unlink()
    computed = []
    real = matched.match
    monkeypatch.setattr(matched, "match", lambda *given: computed.append(given[2].tolist()) or real(*given))
    compute(copy, "matched", "random")
    assert len(computed) == 1 and rows(copy, "random").equals(before)


def test_the_table_takes_its_rows(tmp_path: Path) -> None:
    assert write_table(toy_edits(Along(), count=2), MATCHED, tmp_path / "matched.parquet") == 16
