"""`latentbench plan`, `status` and `invalidate`: what is there, what is missing, what to forget."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.chain.links import Chain
from pipeline.execution.gpus import device_missing
from pipeline.planning.plan import (
    PARTIAL,
    THERE,
    Planned,
    condense,
    disk_shortage,
    estimate,
    folder_obstacle,
    memory_shortage,
    plan,
    size,
    without_size,
)
from pipeline.planning.whole import Whole, in_mib, report_size
from pipeline.progress import in_time
from pipeline.report.archive import published_runs
from pipeline.report.publish import find_report
from pipeline.storage.runs import invalidate
from pipeline.storage.stages import find_stages
from pipeline.storage.unfinished import Unfinished, find_unfinished
from tasks.cli import options
from tasks.cli.options import err, out
from tasks.cli.words import counted

COLOURS = {THERE: "green", PARTIAL: "yellow"}


def show_plan(chain: Chain, *, as_json: bool) -> None:
    """Print every stage of a run, what exists, what would be computed, how long it may take, disk and memory."""
    rows = plan(chain)
    total, found = estimate(condense(rows)), size(chain, rows)
    report, published = find_report(chain.settings), report_size(chain.settings)
    lacks = (
        device_missing(chain.settings.machine),
        folder_obstacle(chain.settings.outputs),
        disk_shortage(chain, found),
        memory_shortage(found),
    )
    warnings = [text for text in lacks if text]
    if as_json:
        value = {
            "domain": chain.settings.domain,
            "profile": chain.settings.experiment.profile,
            "stages": [row.as_json() for row in rows],
            "report": str(report) if report else None,
            "seconds": total.seconds,
            "without_measured_rate": list(total.unknown),
            "without_known_size": list(without_size(rows)),
            "size": found.as_json(),
            "report_bytes_written": published.bytes_written,
            "warnings": warnings,
        }
        typer.echo(json.dumps(value, indent=1))
        return
    experiment = chain.settings.experiment
    title = f"Domain {chain.settings.domain}, profile {experiment.profile} ({chain.settings.source})"
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("work", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("disk", justify="right", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    for row in condense(rows):
        sizes = _bytes(row.bytes_written), _bytes(row.peak_bytes)
        table.add_row(escape(row.title), _state(row), f"{row.units:,} {row.unit}", _time(row), *sizes)
    sizes = in_mib(published.bytes_written), in_mib(published.peak_bytes)
    table.add_row("report", f"[green]{THERE}[/]" if report else "to publish", "", "", *sizes)
    out.print(table)
    out.print(escape(_size(found)), highlight=False)
    if unsized := without_size(condense(rows)):
        text = f"That leaves out {_shortened(unsized)}: what is taken there is not known (`Method.cost`)."
        out.print(escape(text), highlight=False)
    for text in warnings:
        out.print(f"[yellow]warning[/] {escape(text)}", highlight=False)
    missing = [row for row in rows if row.state != THERE]
    if not missing:
        out.print("Every stage is there: a run computes nothing." if report else "A run publishes the report.")
        return
    text = f"{len(missing)} of {len(rows)} stages to compute"
    known = len(total.unknown) < len([row for row in condense(rows) if row.state != THERE])
    text += f", about {in_time(total.seconds)} by rates measured here." if known else "."
    if not known:
        text += " No rate was measured here yet: run profile smoke once, and plans can say how long."
    elif total.unknown:
        text += f" That leaves out {_shortened(total.unknown)}, whose rate was not measured yet."
    out.print(escape(text), highlight=False)


def _state(row: Planned) -> str:
    text = f"{row.state}, {row.shards} files kept" if row.state == PARTIAL else row.state
    return f"[{COLOURS[row.state]}]{text}[/]" if row.state in COLOURS else text


def _time(row: Planned) -> str:
    if row.state == THERE:
        return f"[dim]took {in_time(row.spent or 0.0)}[/]"
    return "not known" if row.seconds is None else f"about {in_time(row.seconds)}"


def _bytes(count: int | None) -> str:
    return "not known" if count is None else in_mib(count)


def _size(needs: Whole) -> str:
    """Disk and memory of the whole run in two sentences. `memory` in the table is one worker's."""
    on_device = f", and {in_mib(needs.device_bytes)} on each device" if needs.device_bytes else ""
    workers = f"{needs.workers} worker{'s' if needs.workers > 1 else ''} of up to {in_mib(needs.worker_bytes)}"
    return (
        f"Disk: {in_mib(needs.bytes_written)} in all, {in_mib(needs.disk_needed)} still needed, "
        f"{in_mib(needs.disk_free)} free. Memory: up to {in_mib(needs.peak_bytes)} at once ({workers}"
        f"{on_device}), of {in_mib(needs.memory)}."
    )


def _shortened(titles: tuple[str, ...], most: int = 4) -> str:
    shown = ", ".join(titles[:most])
    return shown if len(titles) <= most else f"{shown} and {len(titles) - most} more"


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
