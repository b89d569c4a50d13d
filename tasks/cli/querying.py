"""`latentbench query` and `export`: the published tables, for analysts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigError
from pipeline.planning.whole import in_mib
from pipeline.report.export import export_runs
from pipeline.report.query import frame, query_table
from pipeline.report.row_files import Form, check_target, encoded, form_of, write_rows
from pipeline.report.rows import print_rows
from pipeline.tables.schemas import PUBLISHED
from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.cli.streams import is_terminal
from tasks.paths import at_home

Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def query(
    sql: Annotated[
        str,
        typer.Argument(
            metavar="SQL",
            help=f"One SELECT over {', '.join(PUBLISHED)}.",
        ),
    ],
    outputs: options.Outputs = None,
    all_runs: Annotated[
        bool, typer.Option("--all-runs", help="Over every published run, not the newest alone.")
    ] = False,
    form: Annotated[
        Form | None,
        typer.Option(
            "--format", help="How to write the rows; else as the ending of --to says, or a table.", show_default=False
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the rows to a file.", callback=at_home, show_default=False),
    ] = None,
    force: Force = False,
) -> None:
    """Query the published tables by SQL (DuckDB's), reading only; docs/reference/tables.md lists the columns.

    Examples:

        latentbench query "DESCRIBE scores"
        latentbench query "SELECT method, attribute, value FROM scores WHERE metric = 'identity_distance'"
        latentbench query "SELECT metric, network, method, other, difference FROM differences WHERE significant"
        latentbench query --all-runs --format csv "SELECT run_id, method, value FROM scores WHERE metric = 'ssim'"
        latentbench query --all-runs --to scores.parquet "FROM scores"
    """
    chosen = form or (form_of(to) if to else Form.table)
    if to:
        check_target(to, replace=force)
    elif chosen is Form.parquet and is_terminal(sys.stdout):
        raise ConfigError("Parquet is binary and is not printed on a terminal: name a file with --to FILE, or pipe it.")
    rows = query_table(options.outputs_folder(outputs), sql, all_runs=all_runs)
    if to:
        size = write_rows(rows, chosen, to, replace=force)
        err.print(f"{to}: {rows.num_rows:,} rows, {in_mib(size)}", markup=False, highlight=False, soft_wrap=True)
    elif chosen is Form.table:
        print_rows(frame(rows), out)
    else:
        typer.echo(encoded(rows, chosen), nl=False)


def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.duckdb", help="The database to write.", callback=at_home, show_default=False)
    ],
    outputs: options.Outputs = None,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="A run's id, the beginning or end of it, or `latest`; repeat for several. Without it, every run.",
            show_default=False,
        ),
    ] = None,
    domain: Annotated[str, typer.Option(help="Only runs of this domain.", show_default=False)] = "",
    force: Force = False,
) -> None:
    """Write the tables of every published run into one DuckDB file, with the meaning of each column as its comment.

    Examples:

        latentbench export results.duckdb
        latentbench export photos.duckdb --domain photoface
        latentbench export nights.duckdb --run 20261119T031500Z --run latest --force
    """
    exported = export_runs(options.outputs_folder(outputs), file, runs=runs or (), domain=domain, replace=force)
    for table, rows in exported.rows.items():
        typer.echo(f"{table:12} {rows:>12,} rows")
    typer.echo(f"{file}: {exported.runs} {'run' if exported.runs == 1 else 'runs'}, {in_mib(exported.size)}")
