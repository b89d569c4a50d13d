"""CelebA's attribute file and the files beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.attributes import INDEX, NAMES
from pipeline.errors import LabelsError
from pipeline.images import to_pil
from pipeline.scorer_training import celeba
from pipeline.scorer_training.celeba import read_celeba
from pipeline.scorer_training.split import split
from tests.builders.labelled_photos import CELEBA_NAMES, write_attributes

Rows = dict[str, dict[str, bool]]


@pytest.fixture
def rows() -> Rows:
    """Six pictures of three persons; none shows anything but the absence of a beard."""
    return {f"{number:06d}.jpg": dict.fromkeys(CELEBA_NAMES, False) | {"No_Beard": True} for number in range(1, 7)}


def lay_down(folder: Path, rows: Rows, **beside: str) -> tuple[Path, Path]:
    pictures = folder / "img_align_celeba"
    pictures.mkdir()
    for name in rows:
        to_pil(torch.zeros(3, 10, 8)).save(pictures / name)
    write_attributes(folder / "list_attr_celeba.txt", rows)
    for name, text in beside.items():
        (folder / f"{name}.txt").write_text(text)
    return pictures, folder / "list_attr_celeba.txt"


def value(labels: celeba.Labels, row: int, name: str) -> float:
    return float(labels.values[row, INDEX[name]])


def test_what_is_mapped_and_what_is_masked(rows: Rows, tmp_path: Path) -> None:
    rows["000002.jpg"] |= {"Smiling": True, "Male": True, "No_Beard": False, "Gray_Hair": True, "Eyeglasses": True}
    rows["000003.jpg"] |= {"Bald": True}
    rows["000004.jpg"] |= {"Wearing_Hat": True, "Brown_Hair": True}
    labels = read_celeba(*lay_down(tmp_path, rows))
    assert labels.grouped_by == "picture" and labels.parts is None
    known = {name for name in NAMES if not np.isnan(value(labels, 0, name))}
    assert known == set(celeba.COUNTERPARTS) and "age" not in known and "yaw" not in known
    assert all(value(labels, 0, name) == 0 for name in known)
    shown = {name for name in known if value(labels, 1, name) == 1}
    assert shown == {"smile", "gender", "beard", "hair_grey", "glasses"}
    for row in (2, 3):
        assert all(np.isnan(value(labels, row, name)) for name in celeba.COLOURS)
    assert value(labels, 3, "headwear") == 1 and value(labels, 2, "baldness") == 1


def test_persons_stay_together(rows: Rows, tmp_path: Path) -> None:
    persons = "".join(f"{name} {100 + place // 2}\n" for place, name in enumerate(rows))
    labels = read_celeba(*lay_down(tmp_path, rows, identity_CelebA=persons))
    assert labels.grouped_by == "identity" and labels.groups == ("100", "100", "101", "101", "102", "102")
    parts = [split(labels, seed, 0.4) for seed in range(8)]
    assert all((found[::2] == found[1::2]).all() for found in parts)
    assert len({tuple(found) for found in parts}) > 1


def test_the_partition_of_the_source_is_kept(rows: Rows, tmp_path: Path) -> None:
    partition = "".join(f"{name} {place // 2}\n" for place, name in enumerate(rows))
    persons = "".join(f"{name} {100 + place // 2}\n" for place, name in enumerate(rows))
    pictures, labels = lay_down(tmp_path, rows, list_eval_partition=partition, identity_CelebA=persons)
    found = read_celeba(pictures, tmp_path)  # the folder does as well as the file
    assert split(found, 1, 0.1).tolist() == [0, 0, 1, 1, 2, 2]
    (tmp_path / "identity_CelebA.txt").write_text("".join(f"{name} 7\n" for name in rows))
    with pytest.raises(LabelsError, match="1 persons, such as 7"):
        read_celeba(pictures, labels)
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(LabelsError, match="5 of 6"):
        read_celeba(pictures, labels)


def test_hq_pictures_have_poses_and_the_persons_of_their_originals(rows: Rows, tmp_path: Path) -> None:
    rows = {f"{place}.jpg": said for place, said in enumerate(rows.values())}
    pose = "6\nYaw Pitch Raw\n" + "".join(f"{name} 45.0 -20.0 15.0\n" for name in list(rows)[:5])
    mapping = "idx\torig_idx\torig_file\n" + "".join(
        f"{place} {place + 10} {place + 11:06d}.jpg\n" for place in range(6)
    )
    persons = "".join(f"{place + 11:06d}.jpg {place % 2}\n" for place in range(6))
    pictures, path = lay_down(tmp_path, rows, **{celeba.POSE[:-4]: pose, celeba.MAPPING[:-4]: mapping})
    (tmp_path / celeba.IDENTITY).write_text(persons)
    labels = read_celeba(pictures, path)
    assert [value(labels, 0, name) for name in ("yaw", "pitch", "roll")] == [0.75, 0.25, 0.75]
    assert np.isnan(value(labels, 5, "yaw"))
    assert labels.groups == ("0", "1") * 3
    assert set(labels.files) == {"list_attr_celeba.txt", celeba.POSE, celeba.MAPPING, celeba.IDENTITY}


def test_broken_rows_and_odd_pictures_are_named(rows: Rows, tmp_path: Path) -> None:
    pictures, path = lay_down(tmp_path, rows)
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace("-1", "0", 1)
    lines[4] = " ".join(lines[4].split()[:-1])
    path.write_text("\n".join(lines) + "\n")
    (pictures / "000004.jpg").rename(pictures / "000104.jpg")
    labels = read_celeba(pictures, path)
    assert labels.pictures == ("000001.jpg", "000005.jpg", "000006.jpg")
    assert labels.problems.found == {
        "broken label": [f"00000{n}.jpg: line {n + 2}: expected 40 times -1 or 1" for n in (2, 3)],
        "label without picture": ["000004.jpg"],
        "picture without label": ["000104.jpg"],
    }


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda text: text.replace("Smiling", "Smilling"), "Smiling is missing. Is it 'Smilling'"),
        (lambda text: "\n".join(text.splitlines()[:-2]), "line 1 says '6' rows and 4 follow"),
        (lambda text: "", "is missing"),
        (lambda text: text + text.splitlines()[-1], "says '6' rows and 7 follow"),
    ],
)
def test_a_damaged_file_is_refused(rows: Rows, tmp_path: Path, spoil: object, fault: str) -> None:
    pictures, path = lay_down(tmp_path, rows)
    assert callable(spoil)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(LabelsError, match=fault):
        read_celeba(pictures, path)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("list_eval_partition", "000001.jpg 3\n", "with 0, 1 or 2"),
        ("identity_CelebA", "000001.jpg\n", "row 1 has another number"),
        ("CelebAMask-HQ-pose-anno", "1\nYaw Pitch\n", "Yaw Pitch Raw"),
        ("CelebAMask-HQ-pose-anno", "1\nYaw Pitch Raw\n000001.jpg 1 2 nan\n", "found nan"),
    ],
)
def test_a_wrong_annotation_file_is_refused(rows: Rows, tmp_path: Path, name: str, text: str, fault: str) -> None:
    with pytest.raises(LabelsError, match=fault):
        read_celeba(*lay_down(tmp_path, rows, **{name: text}))
