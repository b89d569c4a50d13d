"""`latentbench nightly`: one night's evaluation, compared with the nights before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipeline.errors import BusyError
from tasks.cli import options
from tasks.cli.computing import compute
from tasks.cli.consoles import err, out
from tasks.luigi_apart import retcode
from tasks.nights import Nightly, Nights, tonight

Night = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="The night; without it today's date in UTC.", metavar="DATE"),
]


def nightly(
    night: Night = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Also every missing night from this one on."),
    ] = None,
    recompute_from: Annotated[
        str, typer.Option(metavar="STAGE", help="Measure this stage again, and all that follows from it.")
    ] = "",
    domain: options.Domain = "",
    profile: options.Profile = "",
    method: options.Methods = None,
    attribute: options.Attributes = None,
    change: options.Changes = None,
    outputs: options.Outputs = None,
    device: options.Device = "",
    devices: options.Devices = "",
    executor: options.Executor = "",
    scheduler: options.Scheduler = "",
    workers: options.Workers = None,
    threads: options.Threads = None,
) -> None:
    """Publish a night's evaluation and compare it with the nights before.

    Stages that no setting, weight or version changed are not computed again. --recompute-from measures again all the
    same, so that a new driver or library shows; the earlier stages are set aside where they differ.

    Examples:

        latentbench nightly
        latentbench nightly --since 2026-11-01
        latentbench nightly --recompute-from edits
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
        executor=executor,
        scheduler=scheduler,
        workers=workers,
        threads=threads,
    )
    date = night.date() if night else tonight()
    last = Nightly(**{**request.parameters, "date": date, "recompute_from": recompute_from})
    last.requires()  # raises for a night to come, and for a stage that is not known
    first = since.date() if since else date
    if first > date:
        raise typer.BadParameter(f"expected a night up to {date}, found {first}", param_hint="--since")
    task = last.clone(Nights, since=first)
    try:
        code = compute(task, last.settings, console=err)
    except BusyError as error:
        err.print(f"latentbench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(int(retcode().already_running)) from error
    if code:
        err.print("Not complete. Finished stages are kept; the same command continues.")
        raise typer.Exit(code)
    out.print(f"{last.output().path}", highlight=False, soft_wrap=True)
