"""A CSV or Parquet of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.attributes import INDEX
from pipeline.errors import LabelsError, UnknownNameError
from pipeline.images import to_pil
from pipeline.scorer_training import table as scorers_table
from pipeline.scorer_training.split import check_sizes, split
from pipeline.scorer_training.table import read_table


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "b.png", "more/c.png"):
        to_pil(torch.zeros(3, 8, 8)).save(folder / name)
    return folder


def csv(images: Path, text: str) -> Path:
    path = images.parent / "labels.csv"
    path.write_text(text)
    return path


def test_csv_and_parquet_say_the_same(images: Path) -> None:
    path = csv(images, "path,yaw,glasses\na.png,0.25,1\nmore/c.png,,0\nb.png,0.5,\n")
    labels = read_table(images, path)
    assert labels.pictures == ("a.png", "b.png", "more/c.png") == labels.groups
    np.testing.assert_array_equal(labels.values[:, INDEX["yaw"]], [0.25, 0.5, np.nan])
    np.testing.assert_array_equal(labels.values[:, INDEX["glasses"]], [1, np.nan, 0])
    assert np.isnan(labels.values).sum() == 3 * 33 + 2
    table = pd.read_csv(path)
    table["glasses"] = table["glasses"].astype("boolean")
    table.to_parquet(images.parent / "labels.parquet")
    again = read_table(images, images.parent / "labels.parquet")
    assert again.digest() == labels.digest() and again.files != labels.files


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("path,yaw\na.png,0.5\nb.png,1.5\n", r"labels.csv, row 3 \(b.png\): yaw is 1.5, expected a number from 0 to 1"),
        ("path,yaw\na.png,-0.1\n", r"row 2 \(a.png\): yaw is -0.1"),
        ("path,yaw\na.png,left\n", r"row 2 \(a.png\): yaw is left"),
        ("path,yaw\na.png,inf\n", r"row 2 \(a.png\): yaw is inf"),
        ("path,yaw\n../secret.png,0.5\n", r"row 2: \.\./secret.png leads out of --images"),
        ("path,yaw\n/etc/passwd,0.5\n", "row 2: /etc/passwd leads out of --images"),
        ("path,yaw\n,0.5\n", "row 2: expected a path"),
        ("path,yaw\na.png,0.5\n./a.png,0.5\n", "row 3: a.png was labelled in row 2 already"),
        ("path,identity,yaw\na.png,,0.5\n", "row 2: `identity` is empty"),
        ("file,yaw\na.png,0.5\n", "expected a column `path`"),
        ("path\na.png\n", "at least one of the attributes"),
        ('path,yaw\n"a.png,0.5\n', "cannot be read as CSV"),
        ("", "cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(images: Path, text: str, fault: str) -> None:
    with pytest.raises(LabelsError, match=fault):
        read_table(images, csv(images, text))


def test_an_unknown_column_gets_the_closest_known_one(images: Path) -> None:
    with pytest.raises(UnknownNameError, match="No column of labels.csv named 'glases'. Did you mean 'glasses'?"):
        read_table(images, csv(images, "path,glases\na.png,1\n"))


def test_a_parquet_of_any_number_of_rows_is_refused_unread(images: Path) -> None:
    """Three million rows of one text of 1 KB, which would be 3 GB, in a file of some KB."""
    path = images.parent / "labels.parquet"
    paths = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), pa.array(["a" * 1000]))
    table = pa.table({"path": paths, "yaw": pa.array(np.zeros(100_000, np.float32))})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(30):
            writer.write_table(table)
    assert path.stat().st_size < 2**20
    before = pa.total_allocated_bytes()
    with pytest.raises(LabelsError, match="3,000,000 rows.*2,000,000"):
        read_table(images, path)
    assert pa.total_allocated_bytes() - before < 2**20


def test_a_text_of_many_rows_is_kept_once(images: Path) -> None:
    paths = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int32)), pa.array(["a" * 10_000]))
    path = images.parent / "labels.parquet"
    pq.write_table(pa.table({"path": paths, "yaw": pa.array(np.zeros(50_000, np.float32))}), path)
    frame = scorers_table._read_parquet(path)
    assert len(frame) == 50_000 and len({id(cell) for cell in frame["path"]}) == 1
    with pytest.raises(LabelsError, match="row 0"):
        read_table(images, path)


def test_a_column_that_is_there_twice_is_refused(images: Path) -> None:
    path = images.parent / "labels.parquet"
    columns = [pa.array(["a.png"]), pa.array([0.5]), pa.array([0.5])]
    pq.write_table(pa.Table.from_arrays(columns, ["path", "yaw", "yaw"]), path)
    with pytest.raises(LabelsError, match="a column occurs twice"):
        read_table(images, path)


def test_a_link_out_of_the_folder_is_not_followed(images: Path) -> None:
    to_pil(torch.zeros(3, 8, 8)).save(images.parent / "outside.png")
    (images / "link.png").symlink_to(images.parent / "outside.png")
    with pytest.raises(LabelsError, match="link.png leads out"):
        read_table(images, csv(images, "path,yaw\nlink.png,0.5\n"))


def test_nothing_is_dropped_silently(images: Path) -> None:
    labels = read_table(images, csv(images, "path,yaw\na.png,0.5\nb.png,\nd.png,0.1\n"))
    assert labels.pictures == ("a.png",)
    assert labels.problems.found == {
        "broken label": ["b.png: row 3 has no value"],
        "label without picture": ["d.png"],
        "picture without label": ["more/c.png"],
    }


def test_a_split_depends_on_seed_and_group_alone(images: Path) -> None:
    labels = read_table(images, csv(images, "path,identity,yaw\na.png,x,0\nb.png,y,0\nmore/c.png,x,0\n"))
    for seed in range(6):
        parts = split(labels, seed, 0.5)
        assert parts[0] == parts[2]
        kept = np.array([False, True, True])
        np.testing.assert_array_equal(split(labels.only(kept), seed, 0.5), parts[kept])
    with pytest.raises(LabelsError, match="training part.*32"):
        check_sizes(parts)
