"""`latentbench plan`, `status` and `invalidate`: what is there, what is missing, what to forget."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.progress import in_time
from pipeline.report.archive import published_runs
from pipeline.storage.runs import invalidate
from pipeline.storage.stages import find_stages
from pipeline.storage.unfinished import Unfinished, find_unfinished
from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.cli.plan_table import show_plan
from tasks.cli.words import counted


def show(
    domain: options.Domain = "",
    profile: options.Profile = "",
    method: options.Methods = None,
    attribute: options.Attributes = None,
    change: options.Changes = None,
    outputs: options.Outputs = None,
    device: options.Device = "",
    devices: options.Devices = "",
    scheduler: options.Scheduler = "",
    workers: options.Workers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every stage of a run: what exists, what would be computed, and estimates of time, disk and memory.

    Examples:

        latentbench plan --profile full
        latentbench plan --method l2l --json
    """
    request = options.request(
        domain=domain,
        profile=profile,
        methods=method,
        attributes=attribute,
        changes=change,
        outputs=outputs,
        device=device,
        devices=devices,
        scheduler=scheduler,
        workers=workers,
    )
    show_plan(request.chain, as_json=as_json)


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


def forget(
    start: Annotated[str, typer.Option("--from", metavar="STAGE", help="First stage to compute again.")],
    domain: options.Domain = "",
    profile: options.Profile = "",
    method: Annotated[
        str, typer.Option("--method", "-m", help="Only this method's stages.", rich_help_panel=options.WHAT)
    ] = "",
    change: options.Changes = None,
    outputs: options.Outputs = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a stage and everything made from it, so that the next run computes them again. Reports stay.

    Examples:

        latentbench invalidate --from edits --profile smoke
        latentbench invalidate --from train --method l2l --yes
    """
    request = options.request(domain=domain, profile=profile, changes=change, outputs=outputs)
    chain = request.chain
    folder = chain.settings.outputs
    stages = [link.stage for link in chain.downstream(start, method) if link.stage.folder(folder).is_dir()]
    if not stages:
        out.print(f"Nothing to remove: no such stage lies under {folder}.", highlight=False)
        return
    for stage in stages:
        out.print(
            f"{escape(stage.title)}  [dim]{escape(str(stage.folder(folder)))}[/]", highlight=False, soft_wrap=True
        )
    if not yes:
        if not err.is_terminal:
            err.print("Nothing was removed. Add --yes to remove these stages.")
            raise typer.Exit(1)
        these = "this stage" if len(stages) == 1 else f"these {len(stages)} stages"
        typer.confirm(f"Remove {these}?", abort=True, err=True)
    removed = invalidate(reversed(stages), folder)
    again = "it" if len(removed) == 1 else "them"
    out.print(f"Removed {counted(len(removed), 'stage')}. The next run computes {again} again.", highlight=False)
