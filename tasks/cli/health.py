"""`latentbench doctor`: is everything there that a run needs?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.errors import LatentbenchError
from pipeline.planning.doctor import BAD, GOOD, WARNING, diagnose
from pipeline.settings.machine import ONE_WORKER
from tasks.cli import options
from tasks.cli.consoles import out

SIGNS = {GOOD: "[green]good[/]   ", WARNING: "[yellow]warning[/]", BAD: "[bold red]bad[/]    "}


Domain = Annotated[str, typer.Option(help="Look at the weights of this domain alone, such as ffhq.")]


def doctor(
    domain: Domain = "",
    outputs: options.Outputs = None,
    device: options.Device = "",
    scheduler: options.Scheduler = "",
) -> None:
    """Check packages, weights (sha256), device, cores, disk and file locks. Exits with 1 if a run would fail.

    Examples:

        latentbench doctor
        latentbench doctor --device cuda
        latentbench doctor --domain ffhq
    """
    machine, folder, usual, wrong = ONE_WORKER, outputs or Path("outputs"), "", ""
    try:
        settings = options.request(outputs=outputs, device=device, scheduler=scheduler).settings
        machine, folder, usual = settings.machine, settings.outputs, settings.domain
    except LatentbenchError as error:
        wrong = str(error)
    bad = 0
    for finding in diagnose(machine, folder, domain, usual, wrong):
        bad += finding.state == BAD
        line = f"{SIGNS[finding.state]} {escape(finding.subject)}: {escape(finding.message)}"
        out.print(line, highlight=False, soft_wrap=True)
    if bad:
        things = "1 thing needs" if bad == 1 else f"{bad} things need"
        out.print(f"{things} mending before a run.", style="bold red", highlight=False)
        raise typer.Exit(1)
