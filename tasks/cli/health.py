"""`latentbench doctor`: is everything there that a run needs?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from pipeline.diagnosis import BAD, GOOD, WARNING, diagnose
from tasks.cli import options
from tasks.cli.options import out

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
    settings = options.request(outputs=outputs, device=device, scheduler=scheduler).settings
    bad = 0
    for finding in diagnose(settings.machine, settings.outputs, domain, settings.domain):
        bad += finding.state == BAD
        told = f"{SIGNS[finding.state]} {escape(finding.subject)}: {escape(finding.told)}"
        out.print(told, highlight=False, soft_wrap=True)
    if bad:
        out.print(f"{bad} things need mending before a run.", style="bold red", highlight=False)
        raise typer.Exit(1)
