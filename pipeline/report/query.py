"""SQL over published runs: the tables of `schemas.PUBLISHED`, in a DuckDB that can read nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from pipeline.errors import LatentbenchError, StageError
from pipeline.report.archive import REPORTS, check_report, latest_report, published_runs, read_report_manifest
from pipeline.schemas import LATER, PUBLISHED
from pipeline.tables import local

if TYPE_CHECKING:
    import duckdb
    from rich.table import Table

RUN_ID = pa.field("run_id", pa.string())
READS_ONLY = "`latentbench query` only reads: expected one SELECT (or FROM, WITH, DESCRIBE, SUMMARIZE, EXPLAIN)"


class QueryError(LatentbenchError):
    """A query that DuckDB refuses: its message, with the closest name that it knows."""


def query(outputs: Path, sql: str, *, all_runs: bool = False) -> pd.DataFrame:
    """The rows that one SELECT gives over the tables of the newest run, or of every run.

    Every table has a column `run_id`. Over several runs tables are united by column name; a column that a run is too
    old to have is NULL there, and of a table that it is too old to have it has no rows. Files, network and settings
    are out of the query's reach. Raises QueryError, StageError if no run is published, CorruptShardError if a file of
    the newest run is damaged.
    """
    import duckdb

    connection = connect(run_folders(outputs, all_runs=all_runs))
    try:
        _check_reads(connection, sql)
        return connection.execute(sql).df()
    except duckdb.Error as error:
        raise QueryError(_explained(str(error))) from error
    finally:
        connection.close()


def run_folders(outputs: Path, *, all_runs: bool = False) -> list[Path]:
    """Folders of the newest run, checked, or of every run. Raises StageError if there is none."""
    newest = latest_report(outputs)
    if not all_runs:
        check_report(newest)
        return [newest]
    return [run.folder for run in published_runs(outputs)]


def connect(folders: list[Path]) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory whose only tables are those of the runs in `folders`; its settings are locked.

    Tables are Arrow data sets: a query reads the columns and rows that it names and no more.
    """
    import duckdb

    quiet: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=quiet)
    for name in PUBLISHED:
        connection.register(name, united(folders, name))
    connection.execute("SET enable_external_access = false")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET lock_configuration = true")
    return connection


def united(folders: list[Path], table: str) -> pyarrow.dataset.Dataset:
    """One table of several runs as a data set, columns united by name, `run_id` first.

    A run that was published before a table of `schemas.LATER` existed has no rows of it. Raises StageError for a table
    that is missing.
    """
    paths = [folder / f"{table}.parquet" for folder in folders]
    if table in LATER:
        paths = [path for path in paths if path.name in read_report_manifest(path.parent)["files"]]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise StageError(f"{missing[0]} is missing: restore it, or move its folder out of `{REPORTS}`.")
    if not paths:
        own = [RUN_ID, *PUBLISHED[table].remove_metadata()]
        return pyarrow.dataset.dataset(pa.schema(own).empty_table())
    found = [pq.read_schema(local(path)).remove_metadata() for path in paths]
    schema = pa.unify_schemas([pa.schema([RUN_ID]), *found], promote_options="permissive")
    return pyarrow.dataset.dataset(
        [local(path) for path in paths],
        schema=schema,
        format="parquet",
        partitioning=pyarrow.dataset.partitioning(pa.schema([RUN_ID]), flavor="hive"),
        partition_base_dir=local(folders[0].parent),
    )


def text_table(rows: pd.DataFrame) -> Table:
    """Rows for the terminal: numbers to the right, with five digits."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numeric = [pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in rows.dtypes]
    for name, right in zip(rows.columns, numeric, strict=True):
        table.add_column(Text(str(name)), justify="right" if right else "left")
    for row in rows.itertuples(index=False, name=None):
        table.add_row(*(Text(_shown(value)) for value in row))
    return table


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value) or value is pd.NaT or value is pd.NA:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _check_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    import duckdb

    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"{READS_ONLY}, found {len(statements)} statements.")
    kind = statements[0].type
    reads = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)
    if kind not in reads:
        raise QueryError(f"{READS_ONLY}, found {kind.name}.")


def _explained(message: str) -> str:
    """DuckDB's message, with what the names in it could have been."""
    message = message.strip()
    if "operations are disabled by configuration" in message:
        return f"{message}\nOnly the tables {', '.join(PUBLISHED)} can be read here."
    if re.search(r"Table with name \S+ does not exist", message):
        return f"{message}\nTables: {', '.join(PUBLISHED)}."
    if "not found in FROM clause" in message:
        return f'{message}\nThe columns of a table: latentbench query "DESCRIBE scores"'
    return message
