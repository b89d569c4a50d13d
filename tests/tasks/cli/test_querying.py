"""`latentbench query` and `export`: formats, files, and what a terminal is spared."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from tasks.cli import app, querying
from tests.builders import random_edits, random_run, random_scores
from tests.builders.random_run import publish_folder

RUN_ID = "20261120T031500Z-1a2b3c4d"
SQL = "SELECT method, value FROM scores WHERE metric = 'fid' ORDER BY method"
METHODS = sorted(random_edits.METHODS)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    publish_folder(folder, RUN_ID, random_run.tables(RUN_ID))
    return folder


@pytest.fixture
def ask(outputs: Path):
    def invoke(verb: str, *arguments: object) -> Result:
        return CliRunner().invoke(app, [verb, *map(str, arguments), "--outputs", str(outputs)])

    return invoke


def test_every_format_is_printed(ask) -> None:
    assert [line.split()[0] for line in ask("query", SQL).stdout.splitlines() if line.strip()][2:] == METHODS
    lines = ask("query", SQL, "--format", "csv").stdout.splitlines()
    assert lines[0] == "method,value" and [line.split(",")[0] for line in lines[1:]] == METHODS
    assert [row["method"] for row in json.loads(ask("query", SQL, "--format", "json").stdout)] == METHODS
    piped = ask("query", SQL, "--format", "parquet").stdout_bytes
    assert pq.read_table(BytesIO(piped))["method"].to_pylist() == METHODS


def test_parquet_is_not_printed_on_a_terminal(ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(querying, "is_terminal", lambda _: True)
    refused = ask("query", SQL, "--format", "parquet")
    assert refused.exit_code == 2 and "--to FILE" in refused.stderr and not refused.stdout_bytes
    target = tmp_path / "rows.bin"
    assert ask("query", SQL, "--format", "parquet", "--to", target).exit_code == 0
    assert pq.read_table(target)["method"].to_pylist() == METHODS


def test_rows_go_to_a_file_as_its_ending_says(ask, tmp_path: Path) -> None:
    for name in ("rows.csv", "rows.json", "rows.parquet", "rows.txt"):
        done = ask("query", SQL, "--to", tmp_path / name)
        assert done.exit_code == 0 and not done.stdout and "4 rows" in done.stderr, name
    assert (tmp_path / "rows.csv").read_text() == ask("query", SQL, "--format", "csv").stdout
    assert json.loads((tmp_path / "rows.json").read_text())[0]["method"] == METHODS[0]
    refused = ask("query", SQL, "--to", tmp_path / "rows.csv")
    assert refused.exit_code == 2 and "--force" in refused.stderr
    assert ask("query", SQL, "--to", tmp_path / "rows.csv", "--force").exit_code == 0
    unknown = ask("query", SQL, "--to", tmp_path / "rows.xlsx")
    assert unknown.exit_code == 2 and ".parquet" in unknown.stderr
    assert ask("query", "SELEC", "--to", tmp_path / "other.csv").exit_code == 2
    assert not (tmp_path / "other.csv").exists(), "nothing is written for a query that fails"


def test_export_writes_a_database_and_says_what_is_in_it(ask, tmp_path: Path) -> None:
    file = tmp_path / "all.duckdb"
    done = ask("export", file)
    assert done.exit_code == 0 and f"{file}: 1 run" in done.stdout
    with duckdb.connect(str(file), read_only=True) as connection:
        (count,) = connection.sql("SELECT count(*) FROM scores").fetchall()[0]
    assert count == random_scores.scores().num_rows > 0 and f"{count:,} rows" in done.stdout
    for arguments in ((file,), (tmp_path / "all.sqlite",), (tmp_path / "b.duckdb", "--domain", "synthfaces")):
        refused = ask("export", *arguments)
        assert refused.exit_code == 2 and refused.stderr and not refused.stdout
    assert ask("export", file, "--force", "--run", "1a2b3c4d").exit_code == 0
