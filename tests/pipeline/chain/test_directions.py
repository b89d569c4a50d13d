"""Direction files through the chain, and a trained method's directions as such files."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.chain.directions import direction_of, write_directions
from pipeline.chain.inputs import load_method
from pipeline.chain.links import Chain
from pipeline.errors import ConfigError, StageError
from pipeline.methods import registry
from pipeline.methods.subject import strengths
from pipeline.settings.direction_files import digest_of, files_at
from pipeline.settings.settings import Settings
from tests.builders.chains import compute, reading
from tests.worlds import px8, toy
from tests.worlds.px8 import tiny_settings

QUICK: dict[str, dict[str, Any]] = {
    "interfacegan": {"chosen": 0.2},
    "rfm": {"iterations": 5},
    "higan": {"chosen": 0.2, "rescored": 8},
    "ganspace": {"components": 4, "samples": 3000},
    "sefa": {"directions": 3, "groups": "1-2"},
    "interfacegan_z": {"chosen": 12},
    "l2l": {"steps": 20, "batch": 32, "width": 32, "layers": 1},
    "noop": {},
}


def fitted(name: str) -> Any:
    method = registry.build(name, QUICK[name])
    method.fit(toy.fit_data(600))
    return method


@pytest.mark.parametrize("name", ["interfacegan", "rfm", "sefa", "higan", "ganspace"])
def test_edits_along_the_written_direction_are_the_methods_own(name: str, tmp_path: Path) -> None:
    method, faces = fitted(name), toy.faces(3)
    vector = direction_of(method, "age", toy.LAYERS)
    assert name not in ("interfacegan", "sefa") or vector.shape == ((512,) if name != "sefa" else (toy.LAYERS, 512))
    change = strengths(faces, age=1.0) * torch.tensor([[1.5], [-2.0], [0.0]])
    np.save(tmp_path / "age.npy", vector.numpy())
    again = registry.build("mine", {"path": str(tmp_path / "age.npy"), "sha256": ""})
    again.fit(toy.fit_data(64))
    assert torch.allclose(again.edit_faces(faces, change), method.edit_faces(faces, change), atol=1e-4)


@pytest.mark.parametrize("name", ["interfacegan_z", "l2l", "noop"])
def test_a_method_without_a_direction_is_refused(name: str) -> None:
    with pytest.raises(StageError, match=f"{name} has no direction of age"):
        direction_of(fitted(name), "age", toy.LAYERS)


@pytest.fixture
def vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with vectors of the eight attributes; the domain is one of 8 px."""
    px8.lend(monkeypatch)
    (tmp_path / "vectors").mkdir()
    for row, name in enumerate(("age", "baldness", "beard", "smile", "gender", "glasses", "pitch", "yaw")):
        np.save(tmp_path / f"vectors/{name}.npy", np.cos(np.arange(512.0) * (row + 1)))
    return tmp_path / "vectors"


def settings_of(outputs: Path, path: Path) -> Settings:
    parameters = {"path": str(path), "sha256": digest_of(files_at(str(path), {})), "layers": "0-1"}
    return replace(tiny_settings(outputs), methods=(("mine", tuple(sorted(parameters.items()))),))


def test_a_stage_knows_the_content_and_not_the_path(vectors: Path, tmp_path: Path) -> None:
    here = Chain(settings_of(tmp_path, vectors)).stage("train", "mine")
    assert str(vectors) not in str(here.parameters)
    moved = vectors.rename(tmp_path / "moved")
    assert Chain(settings_of(tmp_path, moved)).stage("train", "mine").fingerprint == here.fingerprint
    np.save(moved / "age.npy", np.ones(512))
    assert Chain(settings_of(tmp_path, moved)).stage("train", "mine").fingerprint != here.fingerprint


def test_it_is_trained_loaded_and_written_again(
    vectors: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("latentbench"), "propagate", True)
    settings = settings_of(tmp_path / "outputs", vectors)
    with pytest.raises(StageError, match="mine is not trained"):
        write_directions(Chain(settings), "mine", tmp_path / "again")
    for kind in ("latents", "labels"):
        compute(settings, kind, "train")
    facts = compute(settings, "train", "mine").extra["facts"]
    assert facts["files"]["expression"]["file"] == "smile.npy" and set(facts["changes"]) == set(facts["files"])
    assert ("--set method.file.mine.flip" in caplog.text) == bool(facts["lowered"])
    method = load_method(reading(settings, "train", "mine"))
    assert method.name == "mine" and method.facts() == facts
    names = settings.experiment.attributes
    paths = write_directions(Chain(settings), "mine", tmp_path / "again")
    assert [path.name for path in paths] == [f"{name}.npy" for name in names] and paths
    vector = np.load(tmp_path / "again/age.npy", allow_pickle=False)
    assert vector.shape == (4, 512) and vector.dtype == np.float32 and not vector[2:].any()
    assert np.allclose(vector[0], np.cos(np.arange(512.0)), atol=1e-4)


def test_what_a_run_cannot_edit_is_refused_before_it_begins(vectors: Path, tmp_path: Path) -> None:
    for path in vectors.glob("*.npy"):
        if path.stem != "beard":
            path.unlink()
    with pytest.raises(ConfigError, match=r"test\.cfg: \[method\.file\.mine\] path: .* has no direction for"):
        Chain(settings_of(tmp_path, vectors))
