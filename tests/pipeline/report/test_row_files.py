"""Rows in files: every format holds the same rows, and nothing is written where it must not be."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from io import BytesIO, StringIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.report.query import QueryError
from pipeline.report.row_files import Form, encoded, form_of, write_rows

ROWS = pa.table(
    {
        "method": ["l2l", "a,b\n", None],
        "value": [0.1 + 0.2, math.nan, math.inf],
        "rank": pa.array([1, None, 3], pa.int64()),
        "control": [True, None, False],
        "night": [date(2026, 11, 20), None, date(2026, 11, 21)],
        "run_date": pa.array([datetime(2026, 11, 20, 3, 15, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        "face_ids": [[1, 2], [], None],
    }
)


def test_csv_holds_the_rows() -> None:
    read = pd.read_csv(StringIO(encoded(ROWS, Form.csv).decode()), dtype_backend="pyarrow")
    assert read["method"].tolist()[:2] == ["l2l", "a,b\n"] and read["value"][0] == 0.1 + 0.2
    assert read["rank"].tolist() == [1, pd.NA, 3] and "1.0" not in encoded(ROWS, Form.csv).decode()
    assert [json.loads(text) for text in read["face_ids"][:2]] == [[1, 2], []]
    assert encoded(ROWS, Form.csv).decode().splitlines()[1].split(",")[4:6] == [
        "2026-11-20",
        "2026-11-20 03:15:00+00:00",
    ]


def test_json_holds_the_rows_and_is_json() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads(encoded(ROWS, Form.json), parse_constant=refuse)
    assert read[0] == {
        "method": "l2l",
        "value": 0.1 + 0.2,
        "rank": 1,
        "control": True,
        "night": "2026-11-20",
        "run_date": "2026-11-20T03:15:00+00:00",
        "face_ids": [1, 2],
    }
    assert [row["value"] for row in read[1:]] == [None, None] and read[1]["rank"] is None


def test_parquet_holds_the_rows() -> None:
    read = pq.read_table(BytesIO(encoded(ROWS, Form.parquet)))
    assert read.schema.equals(ROWS.schema) and repr(read.to_pylist()) == repr(ROWS.to_pylist())


def test_a_table_of_text_has_a_line_for_each_row() -> None:
    lines = encoded(ROWS.select(["method", "rank"]).slice(0, 1), Form.table).decode().splitlines()
    assert [line.split() for line in lines if line.strip()][::2] == [["method", "rank"], ["l2l", "1"]]


@pytest.mark.parametrize("form", [Form.json, Form.parquet])
def test_two_columns_of_one_name_are_refused_where_they_would_be_lost(form: Form) -> None:
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(QueryError, match="Two columns are named 'a'"):
        encoded(twice, form)
    assert encoded(twice, Form.csv) == b"a,a\n1,2\n"


def test_the_ending_names_the_form() -> None:
    assert form_of(Path("x.parquet")) is Form.parquet and form_of(Path("x.csv")) is Form.csv
    with pytest.raises(UnknownNameError) as error:
        form_of(Path("x.parqet"))
    assert ".parquet" in error.value.known


def test_a_file_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    assert write_rows(ROWS, Form.csv, target) == target.stat().st_size
    before = target.read_bytes()
    with pytest.raises(ConfigError, match="--force"):
        write_rows(ROWS.slice(0, 1), Form.csv, target)
    assert target.read_bytes() == before
    write_rows(ROWS.slice(0, 1), Form.csv, target, replace=True)
    assert len(target.read_bytes()) < len(before) and list(tmp_path.iterdir()) == [target]


def test_no_file_is_written_among_published_ones_or_where_no_folder_is(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "run_id=20261120T031500Z-1a2b3c4d"
    folder.mkdir(parents=True)
    for target in (folder / "more.parquet", folder, tmp_path / "none" / "more.parquet"):
        with pytest.raises(ConfigError):
            write_rows(ROWS, Form.parquet, target, replace=True)
    assert not list(folder.iterdir()) and not (tmp_path / "none").exists()
