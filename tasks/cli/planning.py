"""`latentbench plan` and `invalidate`: what is there, what is missing, what to forget."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from pipeline.storage.runs import invalidate
from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.cli.plan_table import show_plan
from tasks.cli.words import counted


@options.naming_a_run("executor", "threads")
def show(
    request: options.Request,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every stage of a run: what exists, what would be computed, and estimates of time, disk and memory.

    Examples:

        latentbench plan --profile full
        latentbench plan --method l2l --json
    """
    show_plan(request.chain, as_json=as_json)


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
