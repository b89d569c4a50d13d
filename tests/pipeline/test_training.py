"""A method is trained once, on the labelled latents, and goes on from its checkpoint after a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.domains import base
from pipeline.errors import CorruptShardError, LatentbenchError, StageError
from pipeline.labelling import run_labels
from pipeline.latents import run_latents
from pipeline.methods import registry
from pipeline.stages import is_complete
from pipeline.training import load_method, run_train, train_stage
from tests.pipeline import tiny
from tests.pipeline.tiny import METHOD, Average, tiny_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tiny_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.MODULES, tiny.NAME, "tests.pipeline.tiny")
    monkeypatch.setitem(registry.BUILT_IN, METHOD, "tests.pipeline.tiny:Average")
    monkeypatch.setattr(Average, "seen", [])


def labelled(outputs: Path):  # type: ignore[no-untyped-def]
    settings = tiny_settings(outputs)
    run_latents(settings, "train")
    run_labels(settings, "train")
    return settings


def folder(outputs: Path) -> Path:
    return train_stage(tiny_settings(outputs), tiny.describe(), METHOD).folder(outputs)


def test_a_trained_method_is_kept_and_loaded(tmp_path: Path) -> None:
    settings = labelled(tmp_path)
    manifest = run_train(settings, METHOD)
    assert manifest.extra["facts"]["norm"] > 0 and manifest.extra["seconds"] >= 0
    assert [record.name for record in manifest.shards] == ["method.safetensors", "method.json"]
    assert not (folder(tmp_path) / "checkpoints").exists()
    assert run_train(settings, METHOD) == manifest and Average.seen == list(range(20))
    method = load_method(settings, METHOD)
    assert isinstance(method, Average) and method.facts() == manifest.extra["facts"]
    assert method.edit(torch.zeros(2, 4, 512), torch.zeros(2, 35), torch.zeros(2, 35)).shape == (2, 4, 512)


def test_a_killed_training_goes_on_and_learns_the_same(tmp_path: Path) -> None:
    settings = labelled(tmp_path / "a")
    run_train(settings, METHOD)
    command = [sys.executable, "-m", "tests.pipeline.tiny", str(tmp_path / "b"), "1", "256", "13"]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    other = tiny_settings(tmp_path / "b")
    assert not is_complete(train_stage(other, tiny.describe(), METHOD), tmp_path / "b")
    Average.seen.clear()
    run_train(other, METHOD)
    assert Average.seen == list(range(13, 20)), "steps before the kill are not computed again"
    content = [(folder(tmp_path / name) / "method.safetensors").read_bytes() for name in ("a", "b")]
    assert content[0] == content[1]


def test_labels_come_first(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="not computed"):
        run_train(tiny_settings(tmp_path), METHOD)


def test_a_corrupt_method_is_named_and_trained_again(tmp_path: Path) -> None:
    settings = labelled(tmp_path)
    run_train(settings, METHOD)
    path = folder(tmp_path) / "method.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:100])
    with pytest.raises(CorruptShardError, match="method.safetensors"):
        load_method(settings, METHOD)
    run_train(settings, METHOD)
    assert path.read_bytes() == content


def test_what_judges_is_not_in_the_fingerprint_and_what_teaches_is(tmp_path: Path) -> None:
    settings, card = tiny_settings(tmp_path), tiny.describe()
    stage = train_stage(settings, card, METHOD)
    for role, same in (("recognizer_a", False), ("scorer_a", False), ("recognizer_b", True), ("scorer_b", True)):
        other = replace(card, weights={**card.weights, role: "0"})
        assert (train_stage(settings, other, METHOD) == stage) is same
    longer = tiny_settings(tmp_path, method=(("steps", 30),))
    assert train_stage(longer, card, METHOD) != stage
    assert train_stage(tiny_settings(tmp_path, method=(("steps", 20),)), card, METHOD) == stage, "the default"


def test_a_setting_that_the_method_does_not_know_is_named(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, method=(("stepps", 3),))
    with pytest.raises(LatentbenchError, match=r"test.cfg: \[method.average\].*stepps"):
        run_train(settings, METHOD)
