"""`latentbench gc`: what of the outputs folder nobody needs, and its removal."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.cli.words import counted

if TYPE_CHECKING:
    from pipeline.upkeep.garbage import Garbage

LISTED = 20  # paths; more are counted by kind


def gc(
    change: options.Changes = None,
    outputs: options.Outputs = None,
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0, help="Remove only what has not changed for so many days.")
    ] = 1.0,
    keep_size: Annotated[
        float, typer.Option(metavar="GIB", min=0, help="Keep the youngest of it, up to so many GiB together.")
    ] = 0.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs: every path; remove nothing.")
    ] = False,
) -> None:
    """Remove what no published run needs and no profile of luigi.cfg names: says first what, how much and why.

    These are stages of settings that are no longer in use, stages that nights set aside, damaged and half-written
    files, and locks of runs that are over. Published runs and notes of nights are never removed, nor is what a run that
    is going on builds on. Half-written files stay for a day in any case.

    Examples:

        latentbench gc
        latentbench gc --older-than 30 --yes
        latentbench gc --older-than 0 --keep-size 20
    """
    from pipeline.upkeep.garbage import find_garbage, limited
    from pipeline.upkeep.needed import current_stages, needed_stages
    from pipeline.upkeep.removal import remove
    from tasks.requested import settings_of_all

    folder = options.outputs_folder(outputs)
    current, unknown = current_stages(settings_of_all(options.request(changes=change, outputs=outputs).parameters))
    garbage = find_garbage(folder, needed_stages(folder, current))
    going, spared = limited(garbage, time.time(), older_than=older_than, keep=options.bytes_of_gib(keep_size))
    if as_json:
        typer.echo(json.dumps({"remove": _listed(going), "spare": _listed(spared)}, indent=1))
        return
    _show(going)
    if unknown and any(entry.stage for entry in going):
        out.print(f"Domains without their files, {', '.join(unknown)}: published runs alone keep their stages.")
    if spared:
        out.print(f"Spared by --older-than and --keep-size: {_sum(spared)}.", highlight=False)
    if not going:
        out.print(f"Nothing to remove under {folder}.", markup=False, highlight=False, soft_wrap=True)
        return
    if not yes:
        if not err.is_terminal:
            err.print(f"Nothing was removed. Add --yes to remove {_sum(going)}.", highlight=False)
            raise typer.Exit(1)
        typer.confirm(f"Remove {_sum(going)}?", abort=True, err=True)
    gone, used = remove(going, folder)
    out.print(f"Removed {_sum(gone)}.", highlight=False)
    if used:
        out.print(f"Kept {_sum(used)}: a run that is going on uses them, or may.", highlight=False)


def _listed(garbage: Sequence[Garbage]) -> list[dict[str, object]]:
    return [entry.as_json() for entry in garbage]


def _sum(garbage: Sequence[Garbage]) -> str:
    from pipeline.planning.whole import in_mib

    return f"{counted(len(garbage), 'item')} of {in_mib(sum(entry.bytes for entry in garbage))}"


def _show(garbage: Sequence[Garbage]) -> None:
    """A line for each kind and reason; where there are few, a line for each path."""
    from pipeline.planning.whole import in_mib

    table = Table("what", "items", "size", "why", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"

    def kind(entry: Garbage) -> tuple[str, str]:
        return entry.reason, entry.title if len(garbage) <= LISTED else entry.title.partition(" ")[0]

    for (reason, what), group in groupby(sorted(garbage, key=kind), key=kind):
        entries = list(group)
        size = in_mib(sum(entry.bytes for entry in entries))
        table.add_row(escape(what), f"{len(entries):,}", size, reason)
    if garbage:
        out.print(table)
