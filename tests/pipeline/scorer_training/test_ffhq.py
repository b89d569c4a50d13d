"""ffhq-features JSON: what each value means, and every file that is not as expected."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.attributes import INDEX, NAMES
from pipeline.errors import LabelsError
from pipeline.scorer_training.ffhq import read_ffhq, values_of
from pipeline.scorer_training.reading import open_headers, write_report
from pipeline.scorer_training.split import split
from tests.builders.labelled_photos import answer, face, write_ffhq


@pytest.fixture
def plain() -> np.ndarray:
    """A woman of 30 without anything, looking 9 degrees to one side."""
    values = np.zeros(35)
    for name, value in {"age": 0.4, "yaw": 0.55, "pitch": 0.5, "roll": 0.5, "smile": 0.25, "hair_red": 0.75}.items():
        values[INDEX[name]] = value
    return values


def read(*faces: dict[str, Any]) -> np.ndarray | None:
    return values_of(json.dumps(list(faces)).encode())


def known(values: np.ndarray | None) -> dict[str, float]:
    assert values is not None
    return {name: round(float(value), 6) for name, value in zip(NAMES, values, strict=True) if not np.isnan(value)}


def test_every_value_comes_back(plain: np.ndarray) -> None:
    plain[[INDEX[name] for name in ("gender", "sunglasses", "glasses", "eye_makeup", "mouth_occluded")]] = 1
    plain[[INDEX[name] for name in NAMES if name.startswith("hair_")]] = np.arange(6) / 10
    found = read(face(answer(plain)))
    np.testing.assert_allclose(found, plain, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"headPose": {"yaw": 45.0}}, "yaw", 0.75),
        ({"headPose": {"yaw": -92.4}}, "yaw", 0.0),
        ({"headPose": {"pitch": 10.0}}, "pitch", 0.625),
        ({"headPose": {"roll": -15.0}}, "roll", 0.25),
        ({"age": 72.0}, "age", 0.96),
        ({"glasses": "ReadingGlasses"}, "reading_glasses", 1.0),
        ({"glasses": "ReadingGlasses"}, "sunglasses", 0.0),
        ({"glasses": "SwimmingGoggles"}, "glasses", 1.0),
        ({"glasses": "SwimmingGoggles"}, "sunglasses", 0.0),
        ({"glasses": "NoGlasses"}, "glasses", 0.0),
        ({"accessories": [{"type": "headWear", "confidence": 0.99}]}, "headwear", 0.99),
        ({"accessories": [{"type": "glasses", "confidence": 1.0}]}, "headwear", 0.0),
        ({"gender": "male"}, "gender", 1.0),
    ],
)
def test_values_are_scaled(plain: np.ndarray, change: dict[str, Any], name: str, value: float) -> None:
    assert known(read(face(answer(plain) | change)))[name] == value


def test_no_face_has_no_values_and_of_two_the_larger_counts(plain: np.ndarray) -> None:
    assert read() is None
    other = answer(plain) | {"age": 60.0}
    assert known(read(face(answer(plain), 20, 20), face(other, 50, 40)))["age"] == 0.8
    assert known(read(face(other, 50, 40), face(answer(plain), 20, 20)))["age"] == 0.8


def test_hair_that_cannot_be_seen_has_no_colour(plain: np.ndarray) -> None:
    said = answer(plain)
    for hair in ({"hairColor": []}, {"hairColor": said["hair"]["hairColor"], "invisible": True}):
        found = known(read(face(said | {"hair": {"bald": 0.2} | hair})))
        assert found["baldness"] == 0.2 and not any(name.startswith("hair_") for name in found)


def test_what_the_answer_lacks_is_unknown(plain: np.ndarray) -> None:
    said = answer(plain)
    del said["emotion"]
    said["makeup"] = None
    assert set(NAMES) - set(known(read(face(said)))) == {
        *("anger", "contempt", "disgust", "fear", "neutral", "sadness", "surprise"),
        *("eye_makeup", "lip_makeup"),
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"smile": 1.5}, "smile is 1.5"),
        ({"smile": True}, "smile is True"),
        ({"smile": float("nan")}, "smile is nan"),
        ({"age": 10**400}, "age is 1"),
        ({"headPose": {"yaw": "left"}}, "headPose.yaw is 'left'"),
        ({"headPose": 3}, "headPose is 3"),
        ({"headPose": {"yaw": 500.0}}, "yaw is 500.0 degrees"),
        ({"gender": "unknown"}, "gender is 'unknown'"),
        ({"glasses": "Monocle"}, "glasses is 'Monocle'"),
        ({"makeup": {"eyeMakeup": "yes"}}, "makeup.eyeMakeup is 'yes'"),
        ({"hair": {"hairColor": [{"color": "green", "confidence": 1}]}}, "color is 'green'"),
        ({"hair": {"hairColor": [{"color": "red"}]}}, "hair.hairColor has"),
        ({"accessories": {"type": "mask"}}, "accessories is"),
    ],
)
def test_a_wrong_value_is_named(plain: np.ndarray, change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read(face(answer(plain) | change))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"[{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "list of faces"),
        (b"[1]", "list of faces"),
        (b"[{}]", "no faceAttributes"),
        (b'[{"faceAttributes": {}}]', "none of the known"),
        (b'[{"faceAttributes": {}}, {"faceAttributes": {}}]', "without a rectangle"),
    ],
)
def test_a_file_that_is_no_answer_is_broken(data: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        values_of(data)


def test_a_folder_is_matched_by_name_and_nothing_is_dropped_silently(plain: np.ndarray, tmp_path: Path) -> None:
    images, labels = write_ffhq(tmp_path, torch.zeros(6, 3, 8, 8), np.tile(plain, (6, 1)))
    (labels / "00001.json").write_text("[]")
    (labels / "00002.json").write_text("[{")
    (labels / "00003.json").unlink()
    (images / "00000" / "00004.png").unlink()
    found = read_ffhq(images, labels)
    assert found.pictures == ("00000/00000.png", "00000/00005.png") and found.groups == ("00000", "00005")
    left_out = found.problems.found
    assert left_out["no face in the label"] == ["00001.json"]
    assert left_out["broken label"][0].startswith("00002.json: no JSON")
    assert left_out["picture without label"] == ["00000/00003.png"]
    assert left_out["label without picture"] == ["00004.json"]
    with pytest.raises(LabelsError, match=r"1 of 3 labelled pictures are broken \(33.3%\).*00002.json"):
        found.problems.check(len(found), 0.3)
    found.problems.check(len(found), 0.34)


def test_the_twins_that_macos_writes_are_left_aside(plain: np.ndarray, tmp_path: Path) -> None:
    """`._00000.json` and `._00000.png` hold a Finder's notes."""
    images, labels = write_ffhq(tmp_path, torch.zeros(3, 3, 8, 8), np.tile(plain, (3, 1)))
    first = read_ffhq(images, labels)
    for file in [*labels.rglob("*.json"), *images.rglob("*.png")]:
        file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    again = read_ffhq(images, labels)
    assert again.pictures == first.pictures and again.digest() == first.digest() and again.files == first.files
    assert again.problems.found == first.problems.found == {}


def test_a_pipe_among_labels_and_pictures_is_broken_and_not_waited_for(plain: np.ndarray, tmp_path: Path) -> None:
    images, labels = write_ffhq(tmp_path, torch.zeros(3, 3, 8, 8), np.tile(plain, (3, 1)))
    (labels / "00000.json").unlink()
    os.mkfifo(labels / "00000.json")
    (images / "00000" / "00001.png").unlink()
    os.mkfifo(images / "00000" / "00001.png")
    found = open_headers(read_ffhq(images, labels), images)
    assert found.pictures == ("00000/00002.png",)
    assert "it is a pipe or a device" in found.problems.found["broken label"][0]
    assert "it is a pipe or a device" in found.problems.found["unreadable picture"][0]


def test_names_that_are_no_text_are_read_and_told(plain: np.ndarray, tmp_path: Path) -> None:
    images, labels = write_ffhq(tmp_path, torch.zeros(2, 3, 8, 8), np.tile(plain, (2, 1)))
    (images / "00000" / "00000.png").rename(images / "00000" / "caf\udce9.png")
    (labels / "00000.json").rename(labels / "caf\udce9.json")
    (images / "00000" / "00001.png").rename(images / "00000" / "na\udcefve.png")
    found = read_ffhq(images, labels)
    assert found.pictures == ("00000/caf\udce9.png",) and len(open_headers(found, images)) == 1
    assert len(found.digest()) == 64 and split(found, 1, 0.5).shape == (1,)
    report = write_report(found, tmp_path / "work").read_text()
    assert json.loads(report)["left_out"]["picture without label"] == ["00000/na\\udcefve.png"]


def test_the_digest_follows_the_labels(plain: np.ndarray, tmp_path: Path) -> None:
    images, labels = write_ffhq(tmp_path, torch.zeros(3, 3, 8, 8), np.tile(plain, (3, 1)))
    first = read_ffhq(images, labels)
    assert read_ffhq(images, labels).digest() == first.digest()
    (labels / "00001.json").write_text(json.dumps([face(answer(plain) | {"age": 31.0})]))
    again = read_ffhq(images, labels)
    assert again.digest() != first.digest() and again.files != first.files


def test_two_pictures_of_one_name_are_refused(plain: np.ndarray, tmp_path: Path) -> None:
    images, labels = write_ffhq(tmp_path, torch.zeros(1, 3, 8, 8), plain[None])
    (images / "thumbs").mkdir()
    (images / "thumbs" / "00000.jpg").write_bytes((images / "00000" / "00000.png").read_bytes())
    with pytest.raises(LabelsError, match="Two pictures are named 00000"):
        read_ffhq(images, labels)
