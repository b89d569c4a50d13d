"""All published tables in one DuckDB file, readable without Latentbench; meanings are its comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.report.archive import check_report, find_run
from pipeline.report.query import RUN_ID, run_folders, united
from pipeline.report.row_files import check_target
from pipeline.storage.files import write_whole
from pipeline.tables.descriptions import DESCRIPTIONS
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import PUBLISHED, RUNS

if TYPE_CHECKING:
    import duckdb

ENDING = ".duckdb"


@dataclass(frozen=True)
class Export:
    """What was written: how many runs, the rows of every table, the bytes of the file."""

    runs: int
    rows: dict[str, int]
    size: int


def export_runs(
    outputs: Path, target: Path, *, runs: Sequence[str] = (), domain: str = "", replace: bool = False
) -> Export:
    """Write the tables of published runs, of those named in `runs` and of one `domain` where given, into a DuckDB file.

    Every table has the column `run_id` first. The file appears whole or not at all. Raises ConfigError for another
    ending and for a file that exists, without `replace`; StageError for a run that is not there; UnknownNameError for
    a domain of no run; CorruptShardError for a damaged table.
    """
    if target.suffix != ENDING:
        raise ConfigError(
            f"{target}: expected the name of a file NAME{ENDING}. For other formats: latentbench query --to "
            'FILE.parquet "FROM scores"'
        )
    check_target(target, replace=replace)
    folders = _chosen(outputs, runs, domain)
    rows: dict[str, int] = {}

    def write(path: Path) -> None:
        rows.update(_write(path, folders))

    _, _, size = write_whole(target.parent, target.name, write)
    return Export(len(folders), rows, size)


def _chosen(outputs: Path, runs: Sequence[str], domain: str) -> list[Path]:
    """The folders of the runs to write, oldest first, their tables checked."""
    if runs:
        folders = sorted({find_run(outputs, name) for name in runs})
        for folder in folders:
            check_report(folder, only=[f"{name}.parquet" for name in PUBLISHED])
    else:
        folders = run_folders(outputs, all_runs=True)
    if not domain:
        return folders
    domains = {folder: read_table(folder / "runs.parquet", RUNS, ["domain"])["domain"][0].as_py() for folder in folders}
    if domain not in domains.values():
        raise UnknownNameError("published run of a domain", domain, domains.values())
    return [folder for folder in folders if domains[folder] == domain]


def _write(path: Path, folders: list[Path]) -> dict[str, int]:
    """Write the database, and return how many rows each table has."""
    import duckdb

    path.unlink()  # DuckDB makes the file itself
    with duckdb.connect(str(path)) as connection:
        connection.execute("BEGIN")  # else every comment would wait for the disk
        counts = {name: _copy(connection, name, folders) for name in PUBLISHED}
        connection.execute("COMMIT")
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    return counts


def _copy(connection: duckdb.DuckDBPyConnection, name: str, folders: list[Path]) -> int:
    """Write one table with its comments, and return its rows."""
    connection.register("arriving", united(folders, name))
    connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM arriving')
    connection.unregister("arriving")
    connection.execute(f'COMMENT ON TABLE "{name}" IS {_text(DESCRIPTIONS[name].row)}')
    for field in (RUN_ID, *PUBLISHED[name]):
        if field.metadata or field.name not in PUBLISHED[name].names:
            connection.execute(f'COMMENT ON COLUMN "{name}"."{field.name}" IS {_text(_meaning(field))}')
    return int(connection.sql(f'SELECT count(*) FROM "{name}"').fetchall()[0][0])


def _meaning(field: pa.Field) -> str:
    """The meaning and the unit of a column."""
    if not field.metadata:
        return "the run that published the row"
    return f"{field.metadata[b'meaning'].decode()} [{field.metadata[b'unit'].decode()}]"


def _text(words: str) -> str:
    escaped = words.replace("'", "''")
    return f"'{escaped}'"
