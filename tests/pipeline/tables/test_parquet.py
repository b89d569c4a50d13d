"""Parquet in and out by exact schemas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import CorruptShardError, StageError
from pipeline.storage.files import file_sha256
from pipeline.storage.stages import Stage, building, write_shard
from pipeline.tables.parquet import (
    read_stage,
    read_table,
    table_name,
    table_shards,
    value_columns,
    values_of,
    vectors,
    write_table,
)
from pipeline.tables.schemas import LABELS, LATENTS, RANGES, TIMINGS, VALUE_COLUMNS, W_DIM, features
from tests.builders.counting_stage import settings

ROOT = Path(__file__).parents[3]


def latents(count: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"latent_id": np.arange(count), "w": rng.standard_normal((count, W_DIM), dtype=np.float32)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = latents()
    assert write_table(table, LATENTS, tmp_path / "a.parquet") == 40
    read = read_table(tmp_path / "a.parquet", LATENTS)
    assert read.schema.equals(LATENTS, check_metadata=True)
    np.testing.assert_array_equal(vectors(read, "w"), table["w"])
    np.testing.assert_array_equal(read.column("latent_id").to_numpy(), table["latent_id"])


def test_vectors_are_a_view_of_the_table(tmp_path: Path) -> None:
    write_table(latents(), LATENTS, tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", LATENTS)
    chunk = table.column("w").chunk(0)
    assert np.shares_memory(vectors(table, "w"), chunk.flatten().to_numpy())
    np.testing.assert_array_equal(vectors(table.slice(10, 5), "w"), vectors(table, "w")[10:15])
    assert vectors(LATENTS.empty_table(), "w").shape == (0, W_DIM)


def test_the_same_rows_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    write_table(latents(), LATENTS, tmp_path / "a.parquet", metadata={"b": "2", "a": "1"})
    code = (
        "import sys; from pathlib import Path; from tests.pipeline.tables.test_parquet import *;"
        "write_table(latents(), LATENTS, Path(sys.argv[1]), metadata={'a': '1', 'b': '2'})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.parquet")], cwd=ROOT, check=True)
    assert file_sha256(tmp_path / "a.parquet") == file_sha256(tmp_path / "b.parquet")


def test_units_meaning_and_metadata_are_in_the_file(tmp_path: Path) -> None:
    write_table(latents(), LATENTS, tmp_path / "a.parquet", metadata={"latentbench.run": "x"})
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.metadata[b"latentbench.table"] == b"latents" and schema.metadata[b"latentbench.run"] == b"x"
    assert schema.field("w").metadata[b"meaning"] and schema.field("w").type == pa.list_(pa.float32(), W_DIM)
    columns = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    vector = columns.column(1)
    assert vector.compression == "ZSTD" and "BYTE_STREAM_SPLIT" in vector.encodings
    assert not vector.has_dictionary_page


def test_values_keep_their_order(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((9, 35), dtype=np.float32)
    columns = {"latent_id": np.arange(9), **value_columns(values), "face_probability": np.ones(9)}
    write_table(columns, LABELS, tmp_path / "a.parquet")
    read = read_table(tmp_path / "a.parquet", LABELS)
    np.testing.assert_array_equal(values_of(read), values)
    assert values_of(read).dtype == np.float32
    assert read_table(tmp_path / "a.parquet", LABELS, [VALUE_COLUMNS[3]]).column_names == [VALUE_COLUMNS[3]]


def test_several_files_come_in_order(tmp_path: Path) -> None:
    table = latents()
    for name, part in (("b", slice(0, 10)), ("a", slice(10, 40))):
        write_table({key: column[part] for key, column in table.items()}, LATENTS, tmp_path / f"{name}.parquet")
    read = read_table([tmp_path / "b.parquet", tmp_path / "a.parquet"], LATENTS)
    np.testing.assert_array_equal(vectors(read, "w"), table["w"])
    assert read_table([], LATENTS).num_rows == 0


def test_a_path_is_not_taken_for_a_column(tmp_path: Path) -> None:
    folder = tmp_path / "run_id=20261120T031500Z-1a2b3c4d"
    folder.mkdir()
    write_table(latents(), LATENTS, folder / "a.parquet")
    assert read_table(folder / "a.parquet", LATENTS).column_names == LATENTS.names


def test_lists_of_rows_and_words(tmp_path: Path) -> None:
    row = {
        "method": "l2l", "attribute": "age", "unit": "value", "low": -1.0, "high": 1.0, "low_set_by": "cap",
        "high_set_by": "detector", "cap": 1.5, "found_share": 0.95, "n_faces": 2, "face_ids": [1, 2],
        "face_low": [-1.0, -2.0], "face_high": [1.0, 2.0], "value_bounded": True,
    }  # fmt: skip
    write_table({key: [value] for key, value in row.items()}, RANGES, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", RANGES).to_pylist() == [row]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": None}, "w"),
        ({"z": np.zeros(40)}, "'z'"),
        ({"latent_id": np.arange(39)}, "rows"),
        ({"latent_id": ["one"] * 40}, "latent_id"),
        ({"latent_id": [None] * 40}, "nulls"),
        ({"latent_id": np.arange(40) + 0.5}, "latent_id"),
        ({"w": np.zeros((40, 3), np.float32)}, "512"),
    ],
)
def test_what_the_schema_does_not_know_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    table = {key: column for key, column in {**latents(), **change}.items() if column is not None}
    with pytest.raises(StageError, match=message):
        write_table(table, LATENTS, tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    write_table(latents(), LATENTS, tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(content[:-20])
    with pytest.raises(CorruptShardError, match="b.parquet"):
        read_table([tmp_path / "a.parquet", tmp_path / "b.parquet"], LATENTS)
    with pytest.raises(CorruptShardError, match="holds the table 'latents', expected 'labels'"):
        read_table(tmp_path / "a.parquet", LABELS)
    with pytest.raises(StageError, match="no column 'v'"):
        read_table(tmp_path / "a.parquet", LATENTS, ["v"])
    pq.write_table(pa.table({"latent_id": pa.array([0], pa.int64())}), tmp_path / "c.parquet")
    with pytest.raises(CorruptShardError, match="c.parquet has no column w"):
        read_table(tmp_path / "c.parquet", LATENTS)


def test_an_older_file_has_nulls_in_newer_columns(tmp_path: Path) -> None:
    write_table(latents(), LATENTS, tmp_path / "a.parquet")
    newer = LATENTS.append(pa.field("note", pa.string(), nullable=True))
    assert read_table(tmp_path / "a.parquet", newer).column("note").null_count == 40


def test_tables_have_names() -> None:
    assert [table_name(schema) for schema in (LATENTS, features(8, 4))] == ["latents", "features"]


@pytest.mark.parametrize("folder", ["~", "~root", "out-12:30", "s3:", "a b"])
def test_a_relative_path_is_that_very_file_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = Path(folder) / "a.parquet"
    path.parent.mkdir()
    write_table(latents(), LATENTS, path)
    assert (tmp_path / folder / "a.parquet").is_file()
    assert read_table(path, LATENTS).num_rows == 40


# Which file of a stage holds which table


STAGE = Stage("rescoring", 1, label="noop")


def publish(outputs: Path, files: dict[str, pa.Schema]) -> None:
    """A published stage whose files hold one row of these tables each."""
    with building(STAGE, settings(outputs)) as builder:
        builder.publish(
            [
                write_shard(
                    builder.folder, name, lambda path, schema=schema: write_table(one_row(schema), schema, path)
                )
                for name, schema in files.items()
            ]
        )


def one_row(schema: pa.Schema) -> pa.Table:
    """A row of zeros, empty texts and empty lists."""
    values = [
        b"" if pa.types.is_binary(field.type) else "" if pa.types.is_string(field.type) else 0 for field in schema
    ]
    return pa.table(
        [pa.array([value]).cast(field.type) for value, field in zip(values, schema, strict=True)], schema=schema
    )


@pytest.mark.parametrize(
    "other", ["rates-of-scores.parquet", "scoresheet.parquet", "a.parquet", "scores_old-1.parquet"]
)
def test_a_file_of_another_name_is_no_part_of_a_table(tmp_path: Path, other: str) -> None:
    publish(tmp_path, {"timings.parquet": TIMINGS, other: TIMINGS, "timings-2.parquet": TIMINGS})
    assert [path.name for path, _ in table_shards(STAGE, tmp_path, TIMINGS)] == ["timings.parquet", "timings-2.parquet"]
    assert read_stage(STAGE, tmp_path, TIMINGS).num_rows == 2


def test_a_stage_without_a_file_of_the_table_is_an_error_and_not_all_its_files(tmp_path: Path) -> None:
    publish(tmp_path, {"a.parquet": TIMINGS, "b-1.parquet": TIMINGS})
    with pytest.raises(StageError, match=r"no table 'timings'.*found the tables \['a', 'b'\]"):
        read_stage(STAGE, tmp_path, TIMINGS)


def test_a_file_that_says_that_it_holds_another_table_is_refused(tmp_path: Path) -> None:
    other = TIMINGS.with_metadata({b"latentbench.table": b"rates"})
    publish(tmp_path, {"timings.parquet": other})
    with pytest.raises(CorruptShardError, match="holds the table 'rates', expected 'timings'"):
        read_stage(STAGE, tmp_path, TIMINGS)
