"""`latentbench status`: what lies under the outputs folder."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.progress import in_time
from pipeline.report.archive import published_runs
from pipeline.storage.stages import find_stages
from pipeline.storage.unfinished import Unfinished, find_unfinished
from tasks.cli import options
from tasks.cli.consoles import out
from tasks.cli.words import counted


def status(
    outputs: options.Outputs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show what lies under the outputs folder: reports, finished stages, what is running, what failed.

    Example:

        latentbench status
    """
    folder = options.outputs_folder(outputs)
    manifests = find_stages(folder)
    unfinished = find_unfinished(folder)
    reports = [run.run_id for run in published_runs(folder)]
    if as_json:
        stages = [
            {"title": f"{found.stage} {found.label}".strip(), "fingerprint": found.fingerprint, "rows": found.rows}
            | {"started": found.started, "wall_seconds": found.wall_seconds}
            for found in manifests
        ]
        value = {"reports": reports, "stages": stages, "unfinished": [entry.as_json() for entry in unfinished]}
        typer.echo(json.dumps(value, indent=1))
        return
    found_here = f"{counted(len(reports), 'report')}, {counted(len(manifests), 'finished stage')}"
    out.print(f"{folder}: {found_here}", markup=False, highlight=False)
    for name in reports:
        out.print(f"  report {name}", highlight=False)
    table = Table("stage", "rows", "started (UTC)", "took", "fingerprint", box=SIMPLE_HEAD, pad_edge=False)
    for found in manifests:
        title = f"{found.stage} {found.label}".strip()
        started = found.started.replace("T", " ").removesuffix("+00:00")
        table.add_row(escape(title), f"{found.rows:,}", started, in_time(found.wall_seconds), found.fingerprint[:16])
    if manifests:
        out.print(table)
    for entry in unfinished:
        out.print(_told(entry), highlight=False, soft_wrap=True)


def _told(entry: Unfinished) -> str:
    kept = f", {counted(entry.shards, 'file')} finished"
    if entry.holder:
        return f"[yellow]running[/] {escape(entry.title)} by {escape(entry.holder)}{kept}"
    if entry.error:
        return f"[red]failed[/] {escape(entry.title)} at {entry.failed_at}: {escape(entry.error)}{kept}"
    return f"[yellow]interrupted[/] {escape(entry.title)}{kept}; the next run continues"
