"""Training a scorer on rendered faces that were written out in each of the three layouts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score
from torch import Tensor

from pipeline.attributes import INDEX, NAMES
from pipeline.errors import BusyError, ConfigError, LabelsError, StageError
from pipeline.networks.files import load_network
from pipeline.networks.scorer import Scorer
from pipeline.networks.trunks import TRUNKS, trunk
from pipeline.optimisation.checkpoint import Checkpoint
from pipeline.scorer_training import reading
from pipeline.scorer_training.labels import Labels
from pipeline.scorer_training.split import VALIDATION, split
from pipeline.scorer_training.training import build
from pipeline.scorer_training.training.build import ScorerJob, train_scorer
from pipeline.scorer_training.training.fit import ScorerRecipe
from pipeline.scorer_training.training.pixels import decode, prepare
from tests.builders.labelled_photos import write_celeba, write_ffhq, write_table

RECIPE = ScorerRecipe("residual", 8, 32, epochs=10, batch=32, rate=4e-3, seed=7, validation_share=0.25)
BRIEF = replace(RECIPE, epochs=2)

Faces = tuple[Tensor, np.ndarray]


def job(images: Path, folder: Path, **changes: Any) -> ScorerJob:
    return replace(ScorerJob(images, "a", folder / "scorer.safetensors", RECIPE, folder / "work"), **changes)


def said(_: str) -> None:
    pass


# The whole way


def trained(
    kind: str, written: tuple[Path, Path], folder: Path, **floors: float
) -> tuple[dict[str, Any], Labels, Scorer]:
    labels = reading.read_labels(kind, *written)
    order = job(written[0], folder, **floors)
    train_scorer(order, labels, said)
    card = json.loads(order.to.with_suffix(".json").read_text())
    return card, labels, load_network(Scorer, order.to, torch.device("cpu"))


def recomputed(card: dict[str, Any], labels: Labels, scorer: Scorer, images: Path, name: str) -> tuple[float, float]:
    """R2 and, where there are two classes, AUC of an attribute on the validation part, the slow way."""
    found, truth = [], []
    column = INDEX[name]
    for row in np.flatnonzero(split(labels, RECIPE.seed, RECIPE.validation_share) == VALIDATION):
        if not np.isnan(labels.values[row, column]):
            picture = decode(images / labels.pictures[row], card["resolution"])
            image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
            found.append(float(scorer(image)[0, column]))
            truth.append(float(labels.values[row, column]))
    assert len(truth) == card["measured"]["validation"][name]["n"]
    positive = np.array(truth) > 0.5
    both = 0 < positive.sum() < len(positive)
    return float(r2_score(truth, found)), float(roc_auc_score(positive, found)) if both else float("nan")


def test_ffhq(faces: Faces, tmp_path: Path) -> None:
    written = write_ffhq(tmp_path / "data", *faces)
    card, labels, scorer = trained("ffhq", written, tmp_path, floor_r2=0.3)
    figures = card["measured"]["validation"]
    assert "yaw" in card["attributes"] and figures["yaw"]["r2"] > 0.3  # a constant reaches 0
    for name in ("yaw", "glasses", "hair_black"):
        r2, auc = recomputed(card, labels, scorer, written[0], name)
        assert figures[name]["r2"] == pytest.approx(r2, abs=2e-4)
        assert name != "glasses" or figures[name]["auc"] == pytest.approx(auc, abs=2e-4)
    assert figures["hair_black"]["n"] < figures["yaw"]["n"] == card["measured"]["n_validation"]
    assert set(card["attributes"]) | set(card["left_out"]) == set(NAMES)
    assert not set(card["attributes"]) & set(card["left_out"])
    assert card["source"]["faces"] == len(faces[0]) and card["resolution"] == 32 and card["role"] == "scorer_a"


def test_celeba_masks_what_it_does_not_say(faces: Faces, tmp_path: Path) -> None:
    written = write_celeba(tmp_path / "data", *faces)
    card, labels, scorer = trained("celeba", written, tmp_path, floor_r2=0.3)
    assert "yaw" in card["attributes"] and card["measured"]["validation"]["yaw"]["r2"] > 0.3
    assert card["left_out"]["age"] == card["left_out"]["sunglasses"] == "no validation labels"
    row = card["measured"]["validation"]["smile"]  # continuous, but here only yes or no: judged by AUC
    assert row["auc"] == pytest.approx(recomputed(card, labels, scorer, written[0], "smile")[1], abs=2e-4)
    assert set(card["source"]["files"]) == {"CelebAMask-HQ-attribute-anno.txt", "CelebAMask-HQ-pose-anno.txt"}


def test_table_leaves_out_what_cannot_be_learned(faces: Faces, tmp_path: Path) -> None:
    images, values = faces
    shuffled = values.copy()
    rng = np.random.default_rng(3)
    shuffled[:, INDEX["pitch"]] = rng.permutation(values[:, INDEX["pitch"]])
    shuffled[:, INDEX["gender"]] = rng.permutation(values[:, INDEX["gender"]])
    written = write_table(tmp_path / "data", images, shuffled, ("yaw", "pitch", "gender", "glasses"))
    card, _, _ = trained("table", written, tmp_path, floor_r2=0.3, floor_auc=0.62)
    assert card["attributes"] == ["yaw", "glasses"]
    assert card["left_out"]["pitch"].startswith("R2 ") and "below the floor of 0.3" in card["left_out"]["pitch"]
    assert card["left_out"]["gender"].startswith("AUC ") and "below the floor of 0.62" in card["left_out"]["gender"]
    assert card["floors"] == {"r2": 0.3, "auc": 0.62}
    before = (tmp_path / "scorer.safetensors").read_bytes()
    with pytest.raises(StageError, match="No attribute reaches its floor"):
        trained("table", written, tmp_path, floor_r2=0.999, floor_auc=1.0)
    assert (tmp_path / "scorer.safetensors").read_bytes() == before


# Resuming


class _Killed(BaseException):
    """In place of a signal."""


def kept(monkeypatch: pytest.MonkeyPatch, saves: int) -> list[int]:
    """Save at every step, and die after some saves; the steps that were saved."""
    save, steps = Checkpoint.save, []

    def dying(self: Checkpoint, state: dict[str, Any]) -> None:
        save(self, state)
        steps.append(state["step"])
        if len(steps) == saves:
            raise _Killed

    monkeypatch.setattr(Checkpoint, "save", dying)
    return steps


def test_a_killed_training_ends_as_an_uninterrupted_one(
    small: tuple[Path, Labels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = small
    orders = [
        job(images, tmp_path / name, recipe=BRIEF, floor_r2=-99, floor_auc=0, save_seconds=0) for name in ("one", "two")
    ]
    train_scorer(orders[0], labels, said)
    with monkeypatch.context() as patch:
        steps = kept(patch, 4)  # in the second of the two epochs
        with pytest.raises(_Killed):
            train_scorer(orders[1], labels, said)
    assert not orders[1].to.exists()
    assert steps == [1, 2, 3, 4]
    train_scorer(orders[1], labels, said)
    assert orders[0].to.read_bytes() == orders[1].to.read_bytes()


def test_a_checkpoint_of_other_settings_or_pictures_is_refused(small: tuple[Path, Labels], tmp_path: Path) -> None:
    images, labels = small
    order = job(images, tmp_path, recipe=replace(BRIEF, epochs=1), floor_r2=-99, floor_auc=0)
    train_scorer(order, labels, said)
    first = order.to.read_bytes()
    with pytest.raises(StageError, match="epochs 1 there, 2 here.*--fresh"):
        train_scorer(replace(order, recipe=BRIEF), labels, said)
    other = labels.only(np.arange(len(labels)) > 0)
    with pytest.raises(StageError, match="of other settings or data: labels '"):
        train_scorer(order, other, said)
    (order.folder / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(StageError, match="cannot be read"):
        train_scorer(order, labels, said)
    train_scorer(replace(order, fresh=True), labels, said)
    assert order.to.read_bytes() == first  # same data and seed, same weights


def test_two_trainings_do_not_share_a_folder(small: tuple[Path, Labels], tmp_path: Path) -> None:
    order = job(small[0], tmp_path, recipe=BRIEF)
    with build._alone(order.folder), pytest.raises(BusyError, match="is being trained in .* by process"):
        train_scorer(order, small[1], said)


# Pictures


def test_unreadable_pictures_are_named_and_refused_above_a_share(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_table(tmp_path / "data", faces[0][:90], faces[1][:90], ("yaw",))
    whole = (written[0] / "5.png").read_bytes()
    (written[0] / "5.png").write_bytes(whole[: len(whole) // 2])
    (written[0] / "6.png").write_bytes(b"no picture")
    labels = reading.read_labels("table", *written)
    order = job(written[0], tmp_path, recipe=replace(BRIEF, epochs=1), floor_r2=-99)
    with pytest.raises(LabelsError, match=r"2 of 90.*2.2%.*1.0%"):
        train_scorer(order, labels, said)
    report = json.loads((order.folder / reading.REPORT).read_text())
    assert [line.split(":")[0] for line in report["left_out"]["unreadable picture"]] == ["5.png", "6.png"]
    assert not (order.folder / "checkpoint.pt").exists()
    labels = reading.read_labels("table", *written)
    card = train_scorer(replace(order, most_bad=0.05), labels, said)
    assert card["source"]["faces"] == 88 and card["source"]["left_out"] == {"unreadable picture": 2}
    headers = reading.open_headers(reading.read_labels("table", *written), written[0])
    assert [line.split(":")[0] for line in headers.problems.found["unreadable picture"]] == ["6.png"]


def test_pictures_are_decoded_once_and_anew_when_they_change(small: tuple[Path, Labels], tmp_path: Path) -> None:
    images, labels = small
    names = labels.pictures[:3]
    first = prepare(names, images, 32, tmp_path, 1)
    np.testing.assert_array_equal(first.pixels[1], decode(images / names[1], 32))
    mark = next(path for path in tmp_path.glob("pictures-*.npy") if "sha256" not in path.name)
    written = mark.stat().st_mtime_ns
    again = prepare(names, images, 32, tmp_path, 1)
    assert mark.stat().st_mtime_ns == written and again.digest(np.arange(3)) == first.digest(np.arange(3))
    prepare(names, images, 48, tmp_path, 1)
    assert not mark.exists()


def test_a_picture_is_turned_upright_and_its_middle_square_is_taken(tmp_path: Path) -> None:
    from PIL import Image

    wide = np.zeros((16, 48, 3), dtype=np.uint8)
    wide[:, 16:32, 0] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(decode(tmp_path / "wide.png", 16), wide[:, 16:32])
    exif = Image.Exif()
    exif[274] = 6  # turned by 90 degrees
    Image.fromarray(np.ascontiguousarray(wide[:, 8:24])).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / "turned.png", 16), np.rot90(wide[:, 8:24], -1))


# The objective
# Networks


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_large"])
def test_trunks_of_torchvision_are_built_saved_and_differentiable(name: str, tmp_path: Path) -> None:
    from pipeline.networks.files import save_network

    width = TRUNKS[name]
    assert width is not None
    recipe = replace(RECIPE, architecture=name, width=width)
    scorer = build.new_scorer(recipe).eval()
    again = build.new_scorer(recipe)
    assert all(torch.equal(a, b) for a, b in zip(scorer.parameters(), again.parameters(), strict=True))
    save_network(scorer, tmp_path / "s.safetensors", {"architecture": name, "width": width}, {})
    loaded = load_network(Scorer, tmp_path / "s.safetensors", torch.device("cpu"))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    values = loaded(images)
    assert values.shape == (2, 35) and torch.allclose(values, scorer(images), atol=1e-6)
    values.sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="channels in its first layer"):
        trunk(name, width + 1)


def test_a_device_that_is_not_there_is_refused(small: tuple[Path, Labels], tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ConfigError, match="sees no CUDA"):
        train_scorer(job(small[0], tmp_path, device="cuda"), small[1], said)
