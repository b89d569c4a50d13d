"""The plan of a run, printed: every stage, what exists, what would be computed, time, disk and memory."""

from __future__ import annotations

import json

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.chain.links import Chain
from pipeline.execution.gpus import device_missing
from pipeline.execution.throughput import measured_as_set
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
from pipeline.report.finding import find_report
from tasks.cli.consoles import out

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
    if known and not measured_as_set(chain.settings):
        text += (
            " The rates are of other machine settings or another precision: a run of profile smoke with "
            f"--set domain.{chain.settings.domain}.precision={experiment.precision} measures these."
        )
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
