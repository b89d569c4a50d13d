"""One DuckDB file with every run's tables: the same rows, their meanings, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, CorruptShardError, StageError, UnknownNameError
from pipeline.report import export
from pipeline.report.export import export_runs
from pipeline.tables.descriptions import DESCRIPTIONS
from pipeline.tables.schemas import PUBLISHED
from tests.builders import random_edits, random_run, random_scores
from tests.builders.random_run import publish_folder, sign_folder

OLD, NEW = "20261119T031500Z-aaaaaaaa", "20261120T031500Z-1a2b3c4d"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An old run of photoface without the later tables, and one of synthface."""
    outputs = tmp_path_factory.mktemp("outputs")
    old = random_run.tables(OLD, seed=1)
    old["runs"] = random_run.runs(OLD, domain="photoface")
    publish_folder(outputs, OLD, {name: old[name] for name in ("scores", "ranges", "edits", "runs")})
    publish_folder(outputs, NEW, random_run.whole(NEW))
    return outputs


def rows_of(file: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.sql(sql).fetchall()


def test_every_row_of_every_run_is_there_in_its_order(outputs: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.duckdb"
    exported = export_runs(outputs, file)
    assert exported.runs == 2 and exported.size == file.stat().st_size and list(tmp_path.iterdir()) == [file]
    assert set(exported.rows) == set(PUBLISHED) and exported.rows["runs"] == 2
    for name in PUBLISHED:
        paths = [outputs / "reports" / f"run_id={run_id}" / f"{name}.parquet" for run_id in (OLD, NEW)]
        published = [pq.ParquetFile(path).read() for path in paths if path.is_file()]
        assert published and exported.rows[name] == sum(table.num_rows for table in published) > 0
        with duckdb.connect(str(file), read_only=True) as connection:
            found = connection.sql(f"SELECT * FROM {name} WHERE run_id = '{NEW}'").to_arrow_table()
        assert found.column_names[0] == "run_id"
        expected = published[-1]
        assert repr(found.select(expected.column_names).cast(expected.schema).to_pylist()) == repr(expected.to_pylist())


def test_meanings_are_comments(outputs: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.duckdb"
    export_runs(outputs, file)
    comments = dict(rows_of(file, "SELECT table_name, comment FROM duckdb_tables()"))
    assert comments == {name: DESCRIPTIONS[name].row for name in PUBLISHED}
    sql = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
    columns = {(table, column): comment for table, column, comment in rows_of(file, sql)}
    assert len(columns) > 200 and all(columns.values())
    field = PUBLISHED["scores"].field("value")
    assert columns["scores", "value"] == f"the score [{field.metadata[b'unit'].decode()}]"
    assert columns["ranks", "run_id"] == "the run that published the row"
    assert "metric's unit" in columns["scores", "value"], "an apostrophe"


def test_a_run_that_is_older_than_a_column_has_nulls_in_it(tmp_path: Path) -> None:
    runs, scores = random_run.runs(OLD), random_scores.scores(OLD).slice(0, 3)
    few = {"edits": random_edits.edits(n_faces=1), "ranges": random_edits.ranges()}
    folder = publish_folder(tmp_path, OLD, {"runs": runs, "scores": scores, **few})
    pq.write_table(runs.drop_columns(["faces"]), folder / "runs.parquet")
    sign_folder(folder)
    export_runs(tmp_path, tmp_path / "old.duckdb")
    assert rows_of(tmp_path / "old.duckdb", "SELECT run_id, faces FROM runs") == [(OLD, None)]


def test_runs_and_domains_are_chosen(outputs: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.duckdb"
    assert export_runs(outputs, file, runs=["aaaaaaaa"]).runs == 1
    assert rows_of(file, "SELECT DISTINCT run_id FROM scores") == [(OLD,)]
    assert rows_of(file, "SELECT count(*) FROM ranks") == [(0,)], "a table that the run is too old to have"
    export_runs(outputs, file, domain="synthface", replace=True)
    assert rows_of(file, "SELECT DISTINCT run_id FROM edits") == [(NEW,)]
    export_runs(outputs, file, runs=["latest", NEW, OLD], replace=True)
    assert rows_of(file, "SELECT run_id FROM runs ORDER BY 1") == [(OLD,), (NEW,)]


def test_what_cannot_be_exported_is_refused_and_nothing_is_left(outputs: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.duckdb"
    there.write_bytes(b"mine")
    refused = [
        (ConfigError, there, {}),
        (ConfigError, tmp_path / "results.parquet", {}),
        (ConfigError, outputs / "reports" / f"run_id={NEW}" / "results.duckdb", {}),
        (ConfigError, tmp_path / "no folder" / "results.duckdb", {}),
        (StageError, tmp_path / "results.duckdb", {"runs": ["20251231"]}),
        (UnknownNameError, tmp_path / "results.duckdb", {"domain": "synthfaces"}),
        (UnknownNameError, tmp_path / "results.duckdb", {"domain": "photoface", "runs": [NEW]}),
    ]
    for error, target, more in refused:
        with pytest.raises(error):
            export_runs(outputs, target, **more)
    assert list(tmp_path.iterdir()) == [there] and there.read_bytes() == b"mine"


def test_a_failure_leaves_the_old_file_alone(outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "all.duckdb"
    export_runs(outputs, file)
    before = file.read_bytes()

    def fail(*_: object) -> pa.Table:
        raise StageError("the disk went away")

    monkeypatch.setattr(export, "united", fail)
    with pytest.raises(StageError, match="went away"):
        export_runs(outputs, file, replace=True)
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_a_damaged_table_is_not_exported(tmp_path: Path) -> None:
    folder = publish_folder(tmp_path, NEW, {"runs": random_run.runs(NEW), "scores": random_scores.scores(NEW)})
    data = bytearray((folder / "scores.parquet").read_bytes())
    data[100] ^= 1
    (folder / "scores.parquet").write_bytes(data)
    with pytest.raises(CorruptShardError, match=r"scores\.parquet"):
        export_runs(tmp_path, tmp_path / "all.duckdb", runs=["latest"])
    assert not (tmp_path / "all.duckdb").exists()
