"""Readers of other people take a run's id from its folder's name: as text, never as a date or a number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from pipeline.report.archive import RUN_ID
from tests.builders import random_edits, random_scores
from tests.builders.random_run import publish_folder

RUN_IDS = [
    "20261125T000000Z-12345678",  # a nightly's night, and a digest of digits alone
    "20261126T000000Z-00000000",
    "20261127T235959Z-1e234567",  # reads as a number in scientific notation
    "20261128T085443Z-1db43f00",
    "20261231T120000Z-20270101",  # reads as a date
]
TABLES = ("scores", "ranges")  # with the column run_id in the file, and without


def by_duckdb(reports: Path, table: str) -> list[object]:
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT run_id FROM '{reports}/*/{table}.parquet'")
        assert [str(kind) for kind in rows.types] == ["VARCHAR"]
        return [value for (value,) in rows.fetchall()]


def by_duckdb_united(reports: Path, table: str) -> list[object]:
    options = "hive_partitioning = true, union_by_name = true"
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT run_id FROM read_parquet('{reports}/*/{table}.parquet', {options})")
        return [value for (value,) in rows.fetchall()]


def by_polars(reports: Path, table: str) -> list[object]:
    return pl.scan_parquet(f"{reports}/*/{table}.parquet", hive_partitioning=True).collect()["run_id"].to_list()


def by_polars_without_dates(reports: Path, table: str) -> list[object]:
    options = {"hive_partitioning": True, "try_parse_hive_dates": False}
    return pl.scan_parquet(f"{reports}/*/{table}.parquet", **options).collect()["run_id"].to_list()


def by_pyarrow(reports: Path, table: str) -> list[object]:
    paths = sorted(map(str, reports.glob(f"*/{table}.parquet")))
    dataset = pyarrow.dataset.dataset(paths, partitioning="hive", partition_base_dir=str(reports))
    return dataset.to_table(columns=["run_id"])["run_id"].to_pylist()


def of_files(reports: Path, table: str) -> tuple[list[str], dict[str, None]]:
    """The files of a table, and what pyarrow must know: where files hold the id, not to take it from folders too."""
    return sorted(map(str, reports.glob(f"*/{table}.parquet"))), {"partitioning": None} if table == "scores" else {}


def by_pyarrow_files(reports: Path, table: str) -> list[object]:
    paths, options = of_files(reports, table)
    return pq.read_table(paths, **options)["run_id"].to_pylist()


def by_pandas(reports: Path, table: str) -> list[object]:
    paths, options = of_files(reports, table)
    return pd.read_parquet(paths, **options)["run_id"].tolist()


READERS = [
    by_duckdb,
    by_duckdb_united,
    by_polars,
    by_polars_without_dates,
    by_pyarrow,
    by_pyarrow_files,
    by_pandas,
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    for run_id in RUN_IDS:
        assert RUN_ID.match(f"run_id={run_id}")
        scores = random_scores.scores(run_id).slice(0, 2)
        publish_folder(outputs, run_id, {"scores": scores, "ranges": random_edits.ranges().slice(0, 2)})
    return outputs / "reports"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_ids_of_runs_are_read_as_text(reader: Callable[[Path, str], list[object]], table: str, reports: Path) -> None:
    found = reader(reports, table)
    assert sorted(set(found)) == RUN_IDS and len(found) == 2 * len(RUN_IDS)
    assert {type(value) for value in found} == {str}


@pytest.mark.parametrize("name", ["20261125", "2026-11-25", "20261125000000"])
def test_a_bare_date_would_be_a_trap(name: str, tmp_path: Path) -> None:
    """Why a run id is no date alone: readers guess, each in its own way."""
    folder = tmp_path / f"run_id={name}"
    folder.mkdir()
    pq.write_table(pa.table({"value": [1.0]}), folder / "scores.parquet")
    with duckdb.connect() as connection:
        (kind,) = connection.sql(f"SELECT run_id FROM '{tmp_path}/*/scores.parquet'").types
    by_others = pl.scan_parquet(f"{tmp_path}/*/scores.parquet", hive_partitioning=True).collect()["run_id"].dtype
    assert (str(kind), by_others) != ("VARCHAR", pl.String)
