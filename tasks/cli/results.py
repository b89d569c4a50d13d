"""`latentbench report` and `compare`: what was published."""

from __future__ import annotations

import webbrowser
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pipeline.errors import UnknownNameError
from pipeline.report import compare_runs
from pipeline.report.archive import LATEST, PAGE, check_report, find_run
from pipeline.report.contents import Contents, read_contents
from pipeline.report.markdown import markdown
from pipeline.report.named_tables import find_table, list_tables, named_tables, print_table
from pipeline.report.seconds import print_seconds
from pipeline.report.terminal import print_summary
from tasks.cli import options
from tasks.cli.consoles import err, out

TABLE = "--table"
OUTSIDE_NOISE = 1  # the exit code of `compare --check`


class Document(StrEnum):
    """How a run is printed."""

    terminal = "terminal"
    markdown = "markdown"


class ReportCommand(TyperCommand):
    """`report`, whose `--table` may stand without a name: click has such options, Typer does not pass them on."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with an empty name for `--table` at their end or before another option."""
        named = [
            f"{TABLE}=" if arg == TABLE and after.startswith("-") else arg for arg, after in pairwise([*args, "-"])
        ]
        return super().parse_args(ctx, named)


Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning or end of it, or `latest`.")]


def report(
    run: Run = LATEST,
    outputs: options.Outputs = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    form: Annotated[
        Document,
        typer.Option("--format", help="The leaderboard for a terminal, or every protocol's tables as Markdown."),
    ] = Document.terminal,
    table: Annotated[
        str | None, typer.Option(TABLE, metavar="[NAME]", help="One table in full; without NAME, their names.")
    ] = None,
    timings: Annotated[bool, typer.Option("--timings", help="What every stage took, in seconds.")] = False,
) -> None:
    """Print a published run: the leaderboard, what is flagged and why, the page's path; or one of its tables.

    Examples:

        latentbench report
        latentbench report --table
        latentbench report --table attribute_change
        latentbench report 20261120T031500Z-1a2b3c4d --open
        latentbench report --format markdown > results.md
    """
    folder = find_run(options.outputs_folder(outputs), run)
    check_report(folder)
    if table is not None:
        _print_table(read_contents(folder), table)
    elif timings:
        print_seconds(read_contents(folder).run, out)
    elif form is Document.markdown:
        typer.echo(markdown(read_contents(folder)), nl=False)
    else:
        print_summary(folder, out)
    if show and not (folder / PAGE).is_file():
        err.print("This run was packed without its page: there is nothing to open.")
    elif show and not webbrowser.open((folder / PAGE).resolve().as_uri()):
        err.print("No browser could be opened; open the page named above yourself.")


def _print_table(contents: Contents, name: str) -> None:
    """Print a table by name, or for no name all names. Raises typer.Exit for an unknown one, after all names."""
    tables = named_tables(contents)
    if not name:
        list_tables(tables, out)
        return
    try:
        print_table(find_table(tables, name), out)
    except UnknownNameError as error:
        err.print(f"latentbench: {error.brief}", style="red", markup=False, highlight=False, soft_wrap=True)
        list_tables(tables, err)
        raise typer.Exit(2) from error


def compare(
    run_a: Annotated[
        str, typer.Argument(metavar="RUN", help="The run to compare with, or a packed one: a file NAME.tar.xz.")
    ],
    run_b: Annotated[str, typer.Argument(metavar="RUN", help="The run that is compared; `latest` for the newest.")],
    outputs: options.Outputs = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every score, not only those outside noise and those over all attributes.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if a score is outside noise, or the runs do not compare.")
    ] = False,
) -> None:
    """Compare two published runs score by score, and say which differences are outside noise.

    Scores of the same faces are compared face by face, others by their intervals; the correction for many
    comparisons (Holm's) is made over all of them. Exit codes: 0 compared, whatever was found; 1 with --check, if any
    score is outside noise or the runs measure different things; 2 a run is missing or damaged.

    Examples:

        latentbench compare 20261119T031500Z latest
        latentbench compare 20261119T031500Z latest --check
    """
    comparison = compare_runs.compare_runs(options.outputs_folder(outputs), run_a, run_b)
    compare_runs.print_comparison(comparison, out, everything=everything)
    if check and (not comparison.comparable or len(comparison.outside)):
        raise typer.Exit(OUTSIDE_NOISE)
