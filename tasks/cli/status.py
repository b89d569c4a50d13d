"""`latentbench status`: what lies under the outputs folder."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.planning.whole import free_disk, in_mib
from pipeline.progress import in_time
from pipeline.storage.stages import find_stages
from pipeline.storage.unfinished import Unfinished, find_unfinished
from pipeline.upkeep.costs import RunCost, disk_by_kind, run_costs
from tasks.cli import options
from tasks.cli.consoles import out
from tasks.cli.words import counted


def status(
    outputs: options.Outputs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show what lies under the outputs folder: reports, finished stages, what is running, what failed.

    Each report with the work that was done for it, since it takes over what earlier ones computed; the disk by kind of
    stage.

    Example:

        latentbench status
    """
    folder = options.outputs_folder(outputs)
    manifests = find_stages(folder)
    unfinished = find_unfinished(folder)
    costs, disk = run_costs(folder), disk_by_kind(folder)
    reports = [cost.run_id for cost in costs]
    if as_json:
        stages = [
            {"title": f"{found.stage} {found.label}".strip(), "fingerprint": found.fingerprint, "rows": found.rows}
            | {"started": found.started, "wall_seconds": found.wall_seconds}
            for found in manifests
        ]
        value = {"reports": reports, "stages": stages, "unfinished": [entry.as_json() for entry in unfinished]}
        value |= {"costs": [cost.as_json() for cost in costs], "disk": disk, "disk_free": free_disk(folder)}
        typer.echo(json.dumps(value, indent=1))
        return
    found_here = f"{counted(len(reports), 'report')}, {counted(len(manifests), 'finished stage')}"
    out.print(f"{folder}: {found_here}", markup=False, highlight=False)
    if costs:
        _show_costs(costs)
    if disk:
        _show_disk(disk, free_disk(folder))
    table = Table("stage", "rows", "started (UTC)", "took", "fingerprint", box=SIMPLE_HEAD, pad_edge=False)
    for found in manifests:
        title = f"{found.stage} {found.label}".strip()
        started = found.started.replace("T", " ").removesuffix("+00:00")
        table.add_row(escape(title), f"{found.rows:,}", started, in_time(found.wall_seconds), found.fingerprint[:16])
    if manifests:
        out.print(table)
    for entry in unfinished:
        out.print(_told(entry), highlight=False, soft_wrap=True)


def _show_costs(costs: list[RunCost]) -> None:
    """What was computed for each published run."""
    table = Table("report", "night", "stages", "work of all workers", "images", "size", box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for cost in costs:
        facts = (f"{cost.stages:,}", in_time(cost.work_seconds), f"{cost.images:,}", in_mib(cost.bytes))
        table.add_row(escape(cost.run_id), escape(cost.night), *facts)
    out.print(table)


def _show_disk(disk: dict[str, int], free: int) -> None:
    """Bytes by kind of stage, and what the rest takes."""
    sizes = ", ".join(f"{name} {in_mib(size)}" for name, size in disk.items())
    total = f"Disk: {in_mib(sum(disk.values()))}, {in_mib(free)} free. `latentbench gc` says what nobody needs."
    out.print(total, markup=False, highlight=False)
    out.print(f"  {sizes}", markup=False, highlight=False)


def _told(entry: Unfinished) -> str:
    kept = f", {counted(entry.shards, 'file')} finished"
    if entry.holder:
        return f"[yellow]running[/] {escape(entry.title)} by {escape(entry.holder)}{kept}"
    if entry.error:
        return f"[red]failed[/] {escape(entry.title)} at {entry.failed_at}: {escape(entry.error)}{kept}"
    return f"[yellow]interrupted[/] {escape(entry.title)}{kept}; the next run continues"
