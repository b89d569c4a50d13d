"""A method is trained once, on the labelled latents, and goes on from its checkpoint after a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.chain import training
from pipeline.chain.inputs import load_method
from pipeline.chain.links import Chain
from pipeline.errors import CorruptShardError, LatentbenchError, StageError, TrainingDivergedError
from pipeline.execution import cluster, shards
from pipeline.execution.throughput import measured_seconds, store_seconds
from pipeline.methods.interface import silent
from pipeline.settings.settings import Settings
from pipeline.storage.files import file_sha256
from pipeline.storage.stages import Manifest, Stage, building, is_complete
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px8
from tests.worlds.px8 import METHOD, Average, tiny_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def tiny_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    px8.lend(monkeypatch)
    monkeypatch.setattr(Average, "seen", [])


def labelled(outputs: Path) -> Settings:
    settings = tiny_settings(outputs)
    compute(settings, "latents", "train")
    compute(settings, "labels", "train")
    return settings


def trained(settings: Settings, *names: str) -> Manifest:
    """Train the first of these methods, and the others beside it."""
    chain = Chain(settings)
    return training.run_train([chain.work("train", name) for name in names])[0]


def folder(outputs: Path) -> Path:
    return stage_of(tiny_settings(outputs), "train", METHOD).folder(outputs)


def test_a_trained_method_is_kept_and_loaded(tmp_path: Path) -> None:
    settings = labelled(tmp_path)
    manifest = compute(settings, "train", METHOD)
    assert manifest.extra["facts"]["norm"] > 0 and manifest.extra["seconds"] >= 0
    assert [record.name for record in manifest.shards] == ["method.safetensors", "method.json"]
    assert not (folder(tmp_path) / "checkpoints").exists()
    assert compute(settings, "train", METHOD) == manifest and Average.seen == list(range(20))
    method = load_method(reading(settings, "train", METHOD))
    assert isinstance(method, Average) and method.facts() == manifest.extra["facts"]
    assert method.edit(torch.zeros(2, 4, 512), torch.zeros(2, 35), torch.zeros(2, 35)).shape == (2, 4, 512)


def test_a_killed_training_goes_on_and_learns_the_same(tmp_path: Path) -> None:
    settings = labelled(tmp_path / "a")
    compute(settings, "train", METHOD)
    command = [sys.executable, "-m", "tests.worlds.px8", str(tmp_path / "b"), "1", "256", "13"]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    other = tiny_settings(tmp_path / "b")
    assert not is_complete(stage_of(other, "train", METHOD), tmp_path / "b")
    Average.seen.clear()
    compute(other, "train", METHOD)
    assert Average.seen == list(range(13, 20)), "steps before the kill are not computed again"
    content = [(folder(tmp_path / name) / "method.safetensors").read_bytes() for name in ("a", "b")]
    assert content[0] == content[1]


@pytest.fixture(scope="module")
def workers() -> Iterator[None]:
    """The first test that asks for two real workers starts them, the last test of this file ends them."""
    yield
    shards.close()


@pytest.fixture
def side_by_side(workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers know the tiny domain; that they were lost to an earlier test is forgotten."""
    cluster.forget_failure()
    monkeypatch.setattr(training, "train_shard_beside", px8.train_beside_on_worker)


def of_method(name: str) -> Stage:
    return stage_of(tiny_settings(Path()), "train", name)


def test_methods_are_trained_side_by_side_as_they_are_alone(tmp_path: Path, side_by_side: None) -> None:
    alone = labelled(tmp_path / "alone")
    for name in (METHOD, "slower"):
        compute(alone, "train", name)
    together = labelled(tmp_path / "together").on(executor="dask", workers=2)
    manifest = trained(together, METHOD, "slower", "diverging")
    assert manifest.stage == "train" and is_complete(of_method("slower"), together.outputs)
    for name in (METHOD, "slower"):
        found, expected = (of_method(name).folder(s.outputs) / "method.safetensors" for s in (together, alone))
        assert found.read_bytes() == expected.read_bytes()
    rates = measured_seconds(together.outputs)
    assert rates["tiny/train average"] > 0 and rates["tiny/train slower"] > 0
    assert not any("side" in label for label in rates)


def test_the_longest_training_starts_first(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    seconds = {METHOD: 3.0, "slower": 9.0}
    for name, whole in seconds.items():
        units = training.cut(settings, name)[0].units
        store_seconds(settings, f"train {name}", training.unit(settings, name), units, whole / units)
    assert training.longest_first(settings, [METHOD, "diverging", "slower"]) == ["diverging", "slower", METHOD]
    store_seconds(settings, f"train {METHOD}", "steps", 1.0, 10.0)
    assert training.longest_first(settings, [METHOD, "slower"]) == [METHOD, "slower"]


def test_the_work_of_trainings_is_in_seconds_where_all_are_measured_else_shared_unit_by_unit(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    methods = [METHOD, "slower"]
    amounts = [training.cut(settings, name)[0].units for name in methods]
    alike = training.unit(settings, METHOD) == training.unit(settings, "slower")
    work, timed = training.work_of(settings, methods)
    assert not timed and sum(work) == pytest.approx(2.0)
    assert work == pytest.approx([2 * units / sum(amounts) for units in amounts] if alike else [1.0, 1.0])
    for name, units, seconds in zip(methods, amounts, (3.0, 9.0), strict=True):
        store_seconds(settings, f"train {name}", training.unit(settings, name), units, seconds / units)
    assert training.work_of(settings, methods) == (pytest.approx([3.0, 9.0]), True)


def test_a_training_that_fails_stops_no_other_and_says_why_in_its_turn(
    tmp_path: Path, side_by_side: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = labelled(tmp_path).on(executor="dask", workers=2)
    trained(settings, METHOD, "diverging", "slower")
    assert not is_complete(of_method("diverging"), tmp_path) and not caplog.records
    with monkeypatch.context() as nothing_computes, pytest.raises(TrainingDivergedError, match="as expected of it"):
        nothing_computes.setattr(training, "run_shards", None)
        nothing_computes.setattr(training, "run_stage", None)
        trained(settings, "diverging", METHOD, "slower")
    with pytest.raises(TrainingDivergedError, match="as expected of it"):  # and is tried when it is asked for again
        trained(settings, "diverging", METHOD, "slower")
    again = labelled(tmp_path / "again").on(executor="dask", workers=2)
    with pytest.raises(TrainingDivergedError, match="as expected of it"):
        trained(again, "diverging", METHOD, "slower")
    assert is_complete(of_method(METHOD), again.outputs) and is_complete(of_method("slower"), again.outputs)


def test_a_method_that_somebody_else_trains_is_left_to_them(tmp_path: Path, side_by_side: None) -> None:
    settings = labelled(tmp_path).on(executor="dask", workers=2, lock_wait=60.0)
    with building(of_method("slower"), settings):
        trained(settings, METHOD, "slower", "diverging")
    assert is_complete(of_method(METHOD), tmp_path) and not is_complete(of_method("slower"), tmp_path)


def test_more_threads_than_a_worker_has_mean_one_training_at_a_time(tmp_path: Path) -> None:
    settings = labelled(tmp_path).on(train_threads=2)
    trained(settings, METHOD, "slower")
    assert not is_complete(of_method("slower"), tmp_path)


def test_labels_come_first(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="not computed"):
        compute(tiny_settings(tmp_path), "train", METHOD)


def test_a_corrupt_method_is_named_and_trained_again(tmp_path: Path) -> None:
    settings = labelled(tmp_path)
    compute(settings, "train", METHOD)
    path = folder(tmp_path) / "method.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:100])
    with pytest.raises(CorruptShardError, match="method.safetensors"):
        load_method(reading(settings, "train", METHOD))
    compute(settings, "train", METHOD)
    assert path.read_bytes() == content


def test_a_process_reads_a_method_once_until_it_is_trained_again(tmp_path: Path) -> None:
    settings = labelled(tmp_path)
    compute(settings, "train", METHOD)
    work = reading(settings, "train", METHOD)
    first = load_method(work)
    assert load_method(reading(settings, "train", METHOD)) is first
    manifest = folder(tmp_path) / "manifest.json"
    content = manifest.read_text()
    digest = file_sha256(folder(tmp_path) / "method.safetensors")
    manifest.write_text(content.replace(digest, "0" * 64))
    with pytest.raises(CorruptShardError, match="method.safetensors"):
        load_method(work)
    manifest.write_text(content)
    assert load_method(work) is first


def test_what_judges_is_not_in_the_fingerprint_and_what_teaches_is(tmp_path: Path) -> None:
    settings, card = tiny_settings(tmp_path), px8.describe()
    stage = stage_of(settings, "train", METHOD)
    for role, same in (("recognizer_a", False), ("scorer_a", False), ("recognizer_b", True), ("scorer_b", True)):
        other = replace(card, weights={**card.weights, role: "0"})
        assert (stage_of(settings, "train", METHOD, card=other) == stage) is same
    longer = tiny_settings(tmp_path, method=(("steps", 30),))
    assert stage_of(longer, "train", METHOD) != stage
    assert stage_of(tiny_settings(tmp_path, method=(("steps", 20),)), "train", METHOD) == stage, "the default"


@pytest.mark.parametrize("precision", ["full", "bfloat16"])
def test_names_are_given_in_the_precision_of_the_runs_images(precision: str, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    settings = replace(settings, experiment=replace(settings.experiment, precision=precision))
    compute(settings, "latents", "train")
    compute(settings, "labels", "train")
    work = Chain(settings).work("train", METHOD)
    data = training.fit_data(work, work.domain(learning=True), silent)
    assert data.naming_precision == precision and data.generator.synthesis.half_type is None
    assert (precision in work.stage.parameters["naming"]) is (precision == "bfloat16")


def test_a_setting_that_the_method_does_not_know_is_named(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, method=(("stepps", 3),))
    with pytest.raises(LatentbenchError, match=r"test.cfg: \[method.average\].*stepps"):
        compute(settings, "train", METHOD)
