"""The training of photoface's scorers, on features that are known; no file of other people is needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipeline.attributes import INDEX, NAMES
from pipeline.domains.photoface import files, networks
from pipeline.errors import StageError
from pipeline.networks.efficientnet import LITE0, read_efficientnet
from pipeline.networks.files import load_network
from pipeline.networks.lite_scorer import LiteHead
from pipeline.scorer_training.generated import build, eye, faces
from pipeline.scorer_training.generated.measuring import judge
from pipeline.weights.store import Store
from pipeline.weights.table import read_table
from stylegan.checkpoints.mobile import MobileCheckpoint
from tasks.cli import app
from tests.builders import efficientnet_file

FACES, WIDTH = 300, 40
LEARNED = ("age", "beard", "glasses")  # each is one feature
UNKNOWN = INDEX["contempt"]


def seen(noise: float = 0.05) -> build.Seen:
    """Features of which the first three are the three attributes; yaw is the fourth, negative in mirrored pictures."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((FACES, WIDTH)).astype(np.float32)
    values = np.full((FACES, len(NAMES)), np.nan, np.float32)
    signal = x[:, :4] + noise * rng.standard_normal((FACES, 4))
    values[:, INDEX["age"]] = 1 / (1 + np.exp(-signal[:, 0]))
    values[:, INDEX["beard"]] = np.digitize(signal[:, 1], (0.5, 1.5)) / 2
    values[:, INDEX["glasses"]] = signal[:, 2] > 1
    values[:, INDEX["yaw"]] = 1 / (1 + np.exp(-signal[:, 3]))
    values[:, INDEX["roll"]] = rng.random(FACES)
    mirrored = x.copy()
    mirrored[:, 3] *= -1
    return build.Seen(x, mirrored, [10, 30], values, "digest")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Faces are taken as rendered and looked at."""
    ks = np.arange(FACES)
    monkeypatch.setattr(eye, "of_role", lambda table, role: (ks, np.zeros((FACES, len(NAMES)), np.float32)))
    monkeypatch.setattr(faces, "render", lambda *arguments: None)
    checkpoint = MobileCheckpoint(None, 1.0, {}, ())  # type: ignore[arg-type]
    monkeypatch.setattr(networks, "read_generator", lambda store: checkpoint)
    monkeypatch.setattr(build, "look", lambda job, ks, by_eye, store: seen())
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", str(tmp_path))
    return Store(tmp_path, read_table())


def job(role: str, to: Path, **floors: float) -> build.HeadJob:
    trunk = files.TRUNKS[f"scorer_{role}"]
    generator = "sha256 of the generator"
    return build.HeadJob(role, to, to.parent, None, generator, trunk, **floors)  # type: ignore[arg-type]


def test_a_head_and_a_card_that_agree(store: Store, tmp_path: Path) -> None:
    to = tmp_path / "head.safetensors"
    card = build.train(job("b", to), store, lambda text: None)
    written = json.loads(to.with_suffix(".json").read_text())
    assert written["sha256"] == card["sha256"] and written["role"] == "scorer_b"
    assert written["trunk"]["name"] == "efficientnet-lite1" == written["arguments"]["trunk"]
    assert set(written["attributes"]) == {*LEARNED, "yaw"} and set(written["left_out"]) == set(NAMES) - {
        *LEARNED,
        "yaw",
    }
    assert "below the floor" in written["left_out"]["roll"]
    assert written["source"]["ids"] == [6_000_000_000, 6_000_000_000 + FACES - 1]
    assert written["source"]["training"] + written["source"]["validation"] == FACES
    table = written["measured"]["validation"]
    assert table["age"]["r2"] > 0.9 and table["beard"]["auc"] > 0.98 and table["glasses"]["auc"] > 0.98
    head = load_network(LiteHead, to, torch.device("cpu"))
    found = head(torch.from_numpy(seen().plain)).sigmoid().detach().numpy()
    assert np.corrcoef(found[:, INDEX["age"]], seen().values[:, INDEX["age"]])[0, 1] > 0.95
    flipped = head(torch.from_numpy(seen().mirrored)).sigmoid().detach().numpy()
    yaw = INDEX["yaw"]
    np.testing.assert_allclose(flipped[:, yaw], 1 - found[:, yaw], atol=0.05)


def test_nothing_is_written_if_no_attribute_is_known(store: Store, tmp_path: Path) -> None:
    to = tmp_path / "head.safetensors"
    with pytest.raises(StageError, match="nothing is written"):
        build.train(job("a", to, floor_r2=1.0, floor_auc=1.1), store, lambda text: None)
    assert not to.exists() and not to.with_suffix(".json").exists()


def test_the_command(store: Store, tmp_path: Path) -> None:
    to = tmp_path / "scorer_a.safetensors"
    done = CliRunner().invoke(app, ["scorer", "photoface", "--role", "a", "--to", str(to), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["role"] == "scorer_a" and to.is_file()
    assert "faces train" in done.stderr
    for wrong in (["--role", "c", "--to", str(to)], ["--role", "a", "--to", str(tmp_path / "head.pt")]):
        refused = CliRunner().invoke(app, ["scorer", "photoface", *wrong])
        assert refused.exit_code != 0 and refused.exception is not None


def test_looking_takes_the_eye_before_the_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(efficientnet_file.state(), tmp_path / "trunk.pth")
    trunk = read_efficientnet(tmp_path / "trunk.pth", LITE0)
    read = np.full((2, len(NAMES)), np.nan, np.float32)
    read[:, [INDEX["age"], INDEX["beard"]]] = 0.25
    monkeypatch.setattr(build, "read_trunk", lambda name, store: trunk)
    monkeypatch.setattr(build, "reader", lambda role, store: lambda images: read)
    pixels = np.random.default_rng(2).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    for k in (0, 1):
        np.save(faces.picture_path(tmp_path, "a", k), pixels[k])
    by_eye = np.full((2, len(NAMES)), np.nan, np.float32)
    by_eye[1, INDEX["beard"]] = 1
    store = Store(tmp_path, read_table())
    found = build.look(job("a", tmp_path / "head.safetensors"), np.array([0, 1]), by_eye, store)
    assert found.values[:, INDEX["age"]].tolist() == [0.25, 0.25]
    assert found.values[:, INDEX["beard"]].tolist() == [0.25, 1]
    assert not np.isnan(found.values[:, INDEX["noise"]]).any() and np.isnan(found.values[:, UNKNOWN]).all()
    assert found.plain.shape == found.mirrored.shape == (2, sum(found.groups))
    assert not np.allclose(found.plain, found.mirrored)


def test_grades_are_judged_by_any_against_none() -> None:
    rng = np.random.default_rng(3)
    truth = np.full((60, len(NAMES)), np.nan)
    truth[:, INDEX["beard"]] = rng.integers(0, 3, 60) / 2
    truth[:, INDEX["headwear"]] = rng.integers(0, 2, 60)
    found = np.full((60, len(NAMES)), 0.5)
    found[:, INDEX["beard"]] = 0.1 + 0.3 * (truth[:, INDEX["beard"]] > 0)  # right order, wrong steps
    judged = judge(found, truth, truth, 0.5, 0.8)
    assert judged.known == ["beard"] and judged.measured["validation"]["beard"]["auc"] == 1
    assert judged.measured["validation"]["beard"]["labels"] == "eye"
    assert judged.measured["validation"]["headwear"]["correlation"] is None
    assert "AUC 0.500" in judged.left_out["headwear"] and "no network" in judged.left_out["contempt"]
