"""Published results as data: runs and their tables. Every file is checked against its sha256 before it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import CorruptShardError, StageError, UnknownNameError
from pipeline.report.archive import (
    LATEST,
    PAGE,
    PREFIX,
    REPORTS,
    PublishedRun,
    check_report,
    find_run,
    published_runs,
    read_report_manifest,
)
from pipeline.settings.paths import expanded

if TYPE_CHECKING:
    import pandas as pd

SUFFIX = ".parquet"


@dataclass(frozen=True)
class Report(PublishedRun):
    """A published run: its folder, its manifest (settings, commit, stages, sha256 of every file), its tables.

    >>> import latentbench
    >>> report = latentbench.report("latest", "outputs")
    >>> report.run_id, report.page.name, "scores" in report.tables
    ('20261120T031500Z-1a2b3c4d', 'report.html', True)
    """

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables, such as "scores"."""
        return tuple(sorted(name.removesuffix(SUFFIX) for name in self.manifest["files"] if name.endswith(SUFFIX)))

    @property
    def page(self) -> Path:
        """The path of its page, report.html."""
        return self.folder / PAGE

    def table(self, name: str) -> pa.Table:
        """A published table. The metadata of each field of its schema has unit and meaning.

        Raises UnknownNameError for a table that this run does not have, CorruptShardError if the sha256 of the file is
        not the manifest's, StageError if it cannot be read.

        >>> import latentbench
        >>> scores = latentbench.report("latest", "outputs").table("scores")
        >>> scores.schema.field("value").type
        DataType(double)
        """
        if name not in self.tables:
            raise UnknownNameError(f"table of run {self.run_id}", name, self.tables)
        file = f"{name}{SUFFIX}"
        check_report(self.folder, only=[file])
        path = self.folder / file
        try:
            with path.open("rb") as opened:  # by its path pyarrow would add a column for the folder's run_id=
                return pq.ParquetFile(opened).read()
        except (pa.ArrowException, OSError) as error:
            raise CorruptShardError(f"{path} cannot be read as Parquet: {error}") from error

    def frame(self, name: str) -> pd.DataFrame:
        """A table as a pandas frame. Raises as `table`.

        >>> import latentbench
        >>> scores = latentbench.report("latest", "outputs").frame("scores")
        >>> sorted(scores.method.unique())
        ['interfacegan', 'l2l', 'noop', 'random']
        """
        return self.table(name).to_pandas()


def reports(outputs: str | os.PathLike[str] = "outputs") -> list[Report]:
    """Every published run under an outputs folder, oldest first.

    A run with a damaged manifest is left out; the log `latentbench` warns of it. Raises StageError if there is no such
    folder.

    >>> import latentbench
    >>> for report in latentbench.reports("outputs"):
    ...     print(report.run_id, report.table("runs").num_rows)
    20261120T031500Z-1a2b3c4d 1
    """
    return [Report(run.folder, run.manifest) for run in published_runs(_outputs(outputs))]


def report(name: str = LATEST, outputs: str | os.PathLike[str] = "outputs") -> Report:
    """A published run by its id, by the beginning or end of its id, or `latest`.

    Raises StageError if there is none, or more than one; CorruptShardError if its manifest is damaged.

    >>> import latentbench
    >>> latentbench.report("1a2b3c4d", "outputs").run_id
    '20261120T031500Z-1a2b3c4d'
    """
    folder = find_run(_outputs(outputs), name)
    return Report(folder, read_report_manifest(folder))


def query(sql: str, outputs: str | os.PathLike[str] = "outputs", *, all_runs: bool = False) -> pd.DataFrame:
    """The rows of one SELECT (DuckDB's SQL) over the tables of the newest run, or of every run, as a pandas frame.

    It reads the published tables and nothing else; every table has a column `run_id`; times are UTC. Whole numbers and
    flags with gaps have pandas' nullable types. Raises LatentbenchError for SQL that DuckDB refuses, with the closest
    names; StageError if no run is published; CorruptShardError for a damaged table.

    >>> import latentbench
    >>> latentbench.query("SELECT DISTINCT method FROM scores ORDER BY method", "outputs").method.tolist()
    ['interfacegan', 'l2l', 'noop', 'random']
    """
    from pipeline.report import query as queries

    return queries.query(_outputs(outputs), sql, all_runs=all_runs)


def unpack(file: str | os.PathLike[str], outputs: str | os.PathLike[str] = "outputs") -> Report:
    """Lay a packed run, a file NAME.tar.xz, down under an outputs folder, which is made where there is none.

    A packed run has every table, without rows where a table has one for each image, and no page. Raises
    CorruptShardError for a file that is no packed run or is damaged, StageError for one that cannot be read.

    >>> from pathlib import Path
    >>> import latentbench
    >>> file = Path(latentbench.__file__).parents[1] / "reference" / "synthface-smoke.tar.xz"
    >>> report = latentbench.unpack(file, "outputs")
    >>> len(report.frame("scores")) > 1000, len(report.frame("edits"))
    (True, 0)
    """
    from pipeline.report import packed

    folder = packed.unpack(expanded(Path(file)), expanded(Path(outputs)))
    return Report(folder, read_report_manifest(folder))


def _outputs(outputs: str | os.PathLike[str]) -> Path:
    """The outputs folder. Raises StageError if there is none, or if it is the folder of the reports."""
    folder = expanded(Path(outputs))
    if not folder.is_dir():
        raise StageError(f"No folder {folder.absolute()}: expected one that runs write to, with {REPORTS}/ in it.")
    if folder.name == REPORTS and any(folder.glob(f"{PREFIX}*")):
        raise StageError(f"{folder.absolute()} holds the runs themselves: name the folder above, {folder.parent}.")
    return folder
