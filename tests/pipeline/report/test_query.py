"""SQL over published runs, and nothing but published runs."""

from __future__ import annotations

import io
import time
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipeline.errors import CorruptShardError, StageError
from pipeline.report import query as queries
from pipeline.report.rows import print_rows, text_table
from pipeline.tables.schemas import LATER, PUBLISHED
from tests.builders import random_run, random_scores
from tests.builders.random_run import publish_folder, sign_folder

OLD, NEW = "20261119T031500Z-aaaaaaaa", "20261120T031500Z-1a2b3c4d"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    for run_id, seed in ((OLD, 1), (NEW, 0)):
        publish_folder(outputs, run_id, random_run.tables(run_id, seed=seed))
    return outputs


def test_the_newest_run_is_asked_by_default(outputs: Path) -> None:
    rows = queries.query(outputs, "SELECT DISTINCT run_id FROM scores")
    assert rows["run_id"].tolist() == [NEW]


def test_the_query_of_the_issue_gives_the_scores(outputs: Path) -> None:
    sql = "select method, attribute, value from scores where metric = 'identity_distance'"
    rows = queries.query(outputs, sql)
    expected = random_scores.scores(NEW).to_pandas()
    expected = expected[expected["metric"] == "identity_distance"]
    assert sorted(rows["value"]) == sorted(expected["value"])


def test_every_run_at_once_and_every_table_knows_its_run(outputs: Path) -> None:
    for table in random_run.tables(NEW):
        rows = queries.query(outputs, f"SELECT run_id, count(*) AS n FROM {table} GROUP BY ALL", all_runs=True)
        assert sorted(rows["run_id"]) == [OLD, NEW]
        assert rows["n"].nunique() == 1
    joined = "SELECT count(*) AS n FROM edits JOIN runs USING (run_id) WHERE runs.profile = 'smoke'"
    assert queries.query(outputs, joined)["n"].tolist() == [4 * 8 * 6 * 5]


def test_tables_that_an_old_run_lacks_have_no_rows_of_it(tmp_path: Path) -> None:
    publish_folder(tmp_path, OLD, random_run.tables(OLD))
    assert queries.query(tmp_path, "SELECT count(*) AS n FROM differences")["n"].tolist() == [0]
    publish_folder(tmp_path, NEW, random_run.whole(NEW))
    for table in ("differences", "ranks", "judges", "face_scores"):
        rows = queries.query(tmp_path, f"SELECT DISTINCT run_id FROM {table}", all_runs=True)
        assert rows["run_id"].tolist() == [NEW]
    sql = "SELECT max(p_holm) AS p FROM differences WHERE significant"
    assert len(queries.query(tmp_path, sql)) == 1
    path = tmp_path / "reports" / f"run_id={NEW}" / "ranks.parquet"
    path.unlink()
    with pytest.raises(StageError, match=r"ranks\.parquet is missing"):
        queries.query(tmp_path, "SELECT 1", all_runs=True)


def test_a_column_that_an_old_run_lacks_is_null_there(tmp_path: Path) -> None:
    for run_id in (OLD, NEW):
        publish_folder(tmp_path, run_id, random_run.tables(run_id))
    path = tmp_path / "reports" / f"run_id={NEW}" / "scores.parquet"
    table = pq.ParquetFile(path).read()
    pq.write_table(table.append_column("later", pa.array([1.5] * table.num_rows)), path)
    sign_folder(path.parent)
    sql = "SELECT run_id, max(later) AS later FROM scores GROUP BY 1 ORDER BY 1"
    rows = queries.query(tmp_path, sql, all_runs=True)
    assert rows["later"].isna().tolist() == [True, False]


def test_a_column_of_the_schema_is_there_where_every_run_is_older(tmp_path: Path) -> None:
    folder = publish_folder(tmp_path, NEW, random_run.tables(NEW))
    table = pq.ParquetFile(folder / "runs.parquet").read()
    assert "faces" in table.column_names
    pq.write_table(table.drop_columns(["faces"]), folder / "runs.parquet")
    sign_folder(folder)
    for all_runs in (False, True):
        rows = queries.query_table(tmp_path, "SELECT * FROM runs", all_runs=all_runs)
        assert rows.column_names == PUBLISHED["runs"].names and rows["faces"].to_pylist() == [None]


def test_a_table_that_old_runs_lack_has_the_rows_of_the_others(tmp_path: Path) -> None:
    new = random_run.tables(NEW)
    publish_folder(tmp_path, OLD, {name: table for name, table in random_run.tables(OLD).items() if name not in LATER})
    assert len(queries.query(tmp_path, "SELECT * FROM matched")) == 0
    publish_folder(tmp_path, NEW, new)
    rows = queries.query(tmp_path, "SELECT run_id, count(*) AS n FROM rescoring GROUP BY 1", all_runs=True)
    assert rows.to_numpy().tolist() == [[NEW, new["rescoring"].num_rows]]
    (tmp_path / "reports" / f"run_id={NEW}" / "matched.parquet").unlink()
    with pytest.raises(StageError, match=r"matched\.parquet is missing"):
        queries.query(tmp_path, "SELECT * FROM matched", all_runs=True)


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELECT metod FROM scores", '"method"'),
        ("SELECT * FROM score", '"scores"'),
        ("SELECT * FROM nothing_like_it", "Tables: scores, ranges, edits, matched, rescoring, rates"),
        ("SELECT s.metod FROM scores AS s", "Close: method of scores, ranges"),
        ("SELECT METRICS FROM scores", "Close: metric of scores"),
        ("SELECT identity FROM edits", "identity_mtcnn"),
        ("SELEC 1", "syntax error"),
    ],
)
def test_a_wrong_name_is_answered_with_the_closest(outputs: Path, sql: str, hint: str) -> None:
    with pytest.raises(queries.QueryError) as error:
        queries.query(outputs, sql)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM '{file}'",
        "COPY scores TO '{file}'",
        "COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}' AS other",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "DROP VIEW scores",
        "CREATE TABLE mine AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM expected_outside",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM read_json('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM parquet_metadata('{file}')",
        "SELECT * FROM sniff_csv('{file}')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM query('FROM ''{file}''')",
        "SELECT * FROM query_table('{file}')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM enable_logging()",
        "SELECT getenv('HOME')",
        "EXPLAIN ANALYZE COPY scores TO '{file}'",
        "EXPLAIN ANALYZE SELECT * FROM read_csv('{file}')",
        "WITH x AS (INSERT INTO scores SELECT * FROM scores RETURNING *) FROM x",
        "EXPORT DATABASE '{file}'",
        "IMPORT DATABASE '{file}'",
        "LOAD httpfs",
        "CREATE SECRET mine (TYPE S3)",
        "PRAGMA enable_external_access = true",
        "PRAGMA profiling_output = '{file}'",
        "PRAGMA database_list",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "CALL enable_logging(storage = 'file', storage_path = '{file}')",
        "CHECKPOINT",
        "SET allowed_directories = ['/']",
        "SET allowed_paths = ['/etc/passwd']",
        "SELECT * FROM read_csv('/etc/p*')",
        "SELECT * FROM '/proc/self/environ'",
        "INSERT INTO scores SELECT * FROM scores",
        "",
        "-- nothing",
    ],
)
def test_it_reads_the_tables_and_nothing_else(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    file = tmp_path / "file.parquet"
    pq.write_table(pa.table({"secret": [1]}), file)
    before = file.read_bytes()
    expected_outside = pa.table({"secret": [1]})
    assert expected_outside.num_rows == 1
    monkeypatch.chdir(tmp_path)
    with pytest.raises(queries.QueryError):
        queries.query(outputs, sql.format(file=file))
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_the_settings_that_keep_it_in_are_on(outputs: Path) -> None:
    """Where DuckDB renames or drops one of them, this fails, though hostile SQL may be refused for other reasons."""
    expected = {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "temp_directory": "",
    }
    names = ", ".join(f"'{name}'" for name in expected)
    rows = queries.query(outputs, f"SELECT name, value FROM duckdb_settings() WHERE name IN ({names})")
    assert dict(zip(rows["name"], rows["value"], strict=True)) == expected


def test_numbers_keep_their_kind(outputs: Path) -> None:
    sql = "SELECT sum(n_faces) AS total, 0.5 AS half, 100000000000000000000000000::HUGEINT AS huge FROM scores"
    rows = queries.query_table(outputs, sql)
    assert [str(field.type) for field in rows.schema] == ["int64", "double", "double"]
    assert rows["huge"].to_pylist() == [1e26]
    frame = queries.query(outputs, "SELECT unnest([3, NULL]) AS whole, unnest([true, NULL]) AS flag")
    assert frame["whole"].dtype == "Int64" and frame["flag"].dtype == "boolean"
    assert "3.0" not in printed(frame, 80) and "nan" not in printed(frame, 80).lower()


def test_it_describes_and_explains(outputs: Path) -> None:
    described = queries.query(outputs, "DESCRIBE edits")
    assert {"run_id", "identity_mtcnn", "value_smile"} <= set(described["column_name"])
    assert len(queries.query(outputs, "EXPLAIN SELECT 1")) == 1
    assert len(queries.query(outputs, "PIVOT scores ON method USING count(*) GROUP BY attribute")) == 9


def test_without_a_run_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="latentbench run"):
        queries.query(tmp_path, "SELECT 1")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = publish_folder(tmp_path, NEW, random_run.tables(NEW))
    path = folder / "scores.parquet"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CorruptShardError, match=r"scores\.parquet has .* bytes, expected"):
        queries.query(tmp_path, "SELECT 1")


def test_rows_are_printed_as_a_table(outputs: Path) -> None:
    text = io.StringIO()
    rows = queries.query(outputs, "SELECT 'l2l [b]' AS method, 0.123456789 AS value, NULL AS flag")
    Console(file=text, width=80).print(text_table(rows))
    assert "l2l [b]" in text.getvalue() and "0.12346" in text.getvalue() and "nan" not in text.getvalue().lower()


def test_a_relative_folder_with_a_colon_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = Path("out-12:30")
    for run_id, seed in ((OLD, 1), (NEW, 0)):
        publish_folder(outputs, run_id, random_run.tables(run_id, seed=seed))
    rows = queries.query(outputs, "SELECT DISTINCT run_id FROM scores", all_runs=True)
    assert sorted(rows["run_id"]) == [OLD, NEW]


def test_times_are_utc_wherever_they_are_looked_at(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        sql = "SELECT run_date::DATE AS night, run_date::VARCHAR AS text FROM runs"
        rows = queries.query(outputs, sql)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert rows["night"].tolist() == [date(2026, 11, 20)] and rows["text"].tolist() == ["2026-11-20 03:15:00+00"]
    assert "2026-11-20  " in printed(rows, 80) and "00:00:00 " not in printed(rows, 80)


def test_a_table_that_was_changed_is_not_printed(tmp_path: Path) -> None:
    for run_id in (OLD, NEW):
        publish_folder(tmp_path, run_id, random_run.tables(run_id))
    path = tmp_path / "reports" / f"run_id={OLD}" / "scores.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert len(queries.query(tmp_path, "SELECT 1"))
    with pytest.raises(CorruptShardError, match=rf"{OLD}/scores\.parquet has another sha256"):
        queries.query(tmp_path, "SELECT 1", all_runs=True)


def test_a_query_has_its_time_and_its_memory(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_SECONDS", 0.2)
    with pytest.raises(queries.QueryError, match="more than 0.2 seconds"):
        queries.query(outputs, "SELECT count(*) FROM range(100000000000) AS a WHERE hash(range) = 3")
    monkeypatch.setattr(queries, "MOST_SECONDS", 60)
    monkeypatch.setattr(queries, "MOST_MEMORY", 2**25)
    with pytest.raises(queries.QueryError, match="add a WHERE, a GROUP BY or a LIMIT"):
        queries.query(outputs, "SELECT * FROM range(1000000000)")
    with pytest.raises(queries.QueryError, match="GiB of memory"):
        queries.query(outputs, "SELECT list(range) FROM range(100000000)")


def printed(rows: pd.DataFrame, width: int, *, terminal: bool = True) -> str:
    text = io.StringIO()
    print_rows(rows, Console(file=text, width=width, force_terminal=terminal, color_system=None))
    return text.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 140])
def test_no_cell_is_cut_however_narrow_the_terminal(outputs: Path, width: int) -> None:
    rows = queries.query(outputs, "SELECT * FROM scores LIMIT 3")
    text = printed(rows, width)
    assert "…" not in text
    for name in rows.columns:
        assert name in text
    for value in rows["meaning" if "meaning" in rows else "metric"]:
        assert value in text


def test_into_a_file_every_row_is_a_line(outputs: Path) -> None:
    rows = queries.query(outputs, "SELECT * FROM scores LIMIT 3")
    lines = [line for line in printed(rows, 80, terminal=False).splitlines() if line.strip()]
    assert len(lines) == 2 + 3  # names, rule, rows
    assert all(str(value) in line for line, value in zip(lines[2:], rows["metric"], strict=True))


def test_a_narrow_table_is_one_however_many_rows_it_has() -> None:
    rows = pd.DataFrame({"method": ["interfacegan", "l2l"], "note": ["several words that wrap", "few"]})
    assert "row 1 of 2" not in printed(rows, 30) and "row 1 of 2" in printed(rows, 15)
