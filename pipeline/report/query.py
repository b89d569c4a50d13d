"""SQL over published runs: the tables of `schemas.PUBLISHED`, in a DuckDB that can read nothing else."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from pipeline.errors import LatentbenchError, StageError
from pipeline.report.archive import REPORTS, check_report, latest_report, published_runs, read_report_manifest
from pipeline.tables.parquet import local
from pipeline.tables.schemas import LATER, PUBLISHED

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MOST_SECONDS = 600.0
MOST_MEMORY = 2 * 2**30  # bytes, of DuckDB's work and of the rows that it answers
ROWS = 102_400  # fetched at once
RUN_ID = pa.field("run_id", pa.string())
READS_ONLY = "`latentbench query` only reads: expected one SELECT (or FROM, WITH, DESCRIBE, SUMMARIZE, EXPLAIN)"
# A column that a query names and no table of it has, as DuckDB's binder says it.
NO_COLUMN = re.compile(r'(?:Referenced column "([^"]+)" not found|not have a column named "([^"]+)")')


class QueryError(LatentbenchError):
    """A query that DuckDB refuses: its message, with the closest name that it knows."""


def query(outputs: Path, sql: str, *, all_runs: bool = False) -> pd.DataFrame:
    """The rows of `query_table` as a pandas frame: whole numbers stay whole where some are missing."""
    return frame(query_table(outputs, sql, all_runs=all_runs))


def query_table(outputs: Path, sql: str, *, all_runs: bool = False) -> pa.Table:
    """The rows that one SELECT gives over the tables of the newest run, or of every run.

    Every table has a column `run_id`. Over several runs tables are united by column name; a column that a run is too
    old to have is NULL there, and of a table that it is too old to have it has no rows. Times are UTC. Files, network
    and settings are out of the query's reach; its time and its memory are bounded. Raises QueryError, StageError if no
    run is published, CorruptShardError if a table of a run that is read is damaged.
    """
    with _asking(connect(run_folders(outputs, all_runs=all_runs))) as connection:
        _check_reads(connection, sql)
        return _fetched(connection.sql(sql).to_arrow_reader(ROWS))


def frame(table: pa.Table) -> pd.DataFrame:
    """Rows as a pandas frame. Whole numbers and flags with nulls get nullable types: pandas would take floats."""
    import pandas as pd

    rows = table.to_pandas()
    for place, column in enumerate(table.columns):
        if column.null_count and (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
            kind = pd.BooleanDtype() if pa.types.is_boolean(column.type) else pd.Int64Dtype()
            rows.isetitem(place, column.to_pandas(types_mapper=lambda _, kind=kind: kind))
    return rows


@contextmanager
def _asking(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The connection for MOST_SECONDS, after which it is closed; what DuckDB raises becomes a QueryError."""
    import duckdb

    alarm = threading.Timer(MOST_SECONDS, connection.interrupt)
    alarm.start()
    try:
        yield connection
    except duckdb.InterruptException as error:
        raise QueryError(f"The query took more than {MOST_SECONDS:g} seconds. Ask for less.") from error
    except duckdb.OutOfMemoryException as error:
        raise QueryError(f"The query needs more than {MOST_MEMORY / 2**30:g} GiB of memory. Ask for less.") from error
    except duckdb.Error as error:
        raise QueryError(_explained(str(error))) from error
    except RuntimeError as error:
        if "interrupt" not in str(error):
            raise
        raise KeyboardInterrupt from None  # DuckDB's word for Ctrl-C
    finally:
        alarm.cancel()
        connection.close()


def _fetched(batches: pa.RecordBatchReader) -> pa.Table:
    """The rows of a result, read in parts. Raises QueryError where they take more than MOST_MEMORY."""
    parts: list[pa.RecordBatch] = []
    taken = 0
    for batch in batches:
        parts.append(batch)
        taken += batch.nbytes
        if taken > MOST_MEMORY:
            raise QueryError(
                f"The rows take more than {MOST_MEMORY / 2**30:g} GiB: add a WHERE, a GROUP BY or a LIMIT, or read the "
                "Parquet files themselves."
            )
    return _plain(pa.Table.from_batches(parts, batches.schema))


def _plain(table: pa.Table) -> pa.Table:
    """The rows with DuckDB's decimals (sums of whole numbers, 0.5) as whole numbers where they are, else as float64."""
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(place, field.name, _number(table.column(place)))
    return table


def _number(decimals: pa.ChunkedArray) -> pa.ChunkedArray:
    if decimals.type.scale == 0:
        with suppress(pa.ArrowInvalid):  # beyond 64 bits
            return decimals.cast(pa.int64())
    return decimals.cast(pa.float64())


def run_folders(outputs: Path, *, all_runs: bool = False) -> list[Path]:
    """Folders of the newest run, checked, or of every run, their tables checked.

    Raises StageError if there is none, CorruptShardError for a file that is not as it was published.
    """
    newest = latest_report(outputs)
    if not all_runs:
        check_report(newest)
        return [newest]
    folders = [run.folder for run in published_runs(outputs)]
    for folder in folders:
        check_report(folder, only=[f"{name}.parquet" for name in PUBLISHED])
    return folders


def connect(folders: list[Path]) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that has only the tables of the runs in `folders`; its settings are locked.

    Tables are Arrow data sets: a query reads the columns and rows that it names and no more.
    """
    import duckdb

    quiet: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": "",  # nothing is written, not even where memory ends
    }
    connection = duckdb.connect(":memory:", config=quiet)
    for name in PUBLISHED:
        connection.register(name, united(folders, name))
    connection.execute("SET TimeZone = 'UTC'")  # a night is a date, wherever it is looked at
    connection.execute(f"SET memory_limit = '{MOST_MEMORY}B'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET lock_configuration = true")
    return connection


def united(folders: list[Path], table: str) -> pyarrow.dataset.Dataset:
    """One table of several runs as a data set, columns united by name, `run_id` first.

    Every column of the table's schema is there, null where a run is too old to have it; a run that was published
    before a table of `schemas.LATER` existed has no rows of it. Raises StageError for a table that is missing.
    """
    paths = [folder / f"{table}.parquet" for folder in folders]
    if table in LATER:
        paths = [path for path in paths if path.name in read_report_manifest(path.parent)["files"]]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise StageError(f"{missing[0]} is missing: restore it, or move its folder out of `{REPORTS}`.")
    known = pa.schema([RUN_ID, *(field.remove_metadata() for field in PUBLISHED[table] if field.name != RUN_ID.name)])
    if not paths:
        return pyarrow.dataset.dataset(known.empty_table())
    found = [pq.read_schema(local(path)).remove_metadata() for path in paths]
    schema = pa.unify_schemas([known, *found], promote_options="permissive")
    return pyarrow.dataset.dataset(
        [local(path) for path in paths],
        schema=schema,
        format="parquet",
        partitioning=pyarrow.dataset.partitioning(pa.schema([RUN_ID]), flavor="hive"),
        partition_base_dir=local(folders[0].parent),
    )


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
    """DuckDB's message, with the closest names to an unknown one."""
    message = message.strip()
    if "operations are disabled by configuration" in message:
        return f"{message}\nOnly the tables {', '.join(PUBLISHED)} can be read here."
    if re.search(r"Table with name \S+ does not exist", message):
        return f"{message}\nTables: {', '.join(PUBLISHED)}."
    unknown = NO_COLUMN.search(message)
    if unknown:
        hint = _closest_columns(unknown[1] or unknown[2])
        return f'{message}\n{hint}All columns: docs/reference/tables.md, or latentbench query "DESCRIBE scores".'
    return message


def _closest_columns(name: str) -> str:
    """A sentence with the published columns whose names are near to `name`, and their tables; empty if none is."""
    homes: dict[str, list[str]] = {}
    for table, schema in PUBLISHED.items():
        for column in schema.names:
            homes.setdefault(column, []).append(table)
    close = [name.lower()] if name.lower() in homes else difflib.get_close_matches(name.lower(), homes, n=3, cutoff=0.6)
    if not close:
        return ""
    found = [f"{column} of {', '.join(homes[column])}" for column in close]
    return f"Close: {'; '.join(found)}. "
