"""`latentbench run`: the whole chain, and a summary of its report."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.errors import BusyError
from pipeline.report.finding import find_report
from pipeline.report.terminal import print_summary
from tasks.cli import options
from tasks.cli.computing import compute, whatever_is_printed
from tasks.cli.consoles import err, out
from tasks.cli.plan_table import show_plan
from tasks.cli.words import counted
from tasks.luigi_apart import retcode


@options.naming_a_run()
def run(
    request: options.Request,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, compute nothing.")] = False,
    timings: Annotated[bool, typer.Option("--timings", help="Print the seconds of every stage.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name every stage as it begins, and show Luigi's log.")
    ] = False,
) -> None:
    """Run the evaluation: compute every stage that is missing, publish tables and page, print the scores.

    A terminal shows how far each kind of stage is, and the time left; a file or a pipe gets the result alone.
    Resumes by default: finished stages, and finished shards of an interrupted stage, are not computed again.

    Examples:

        latentbench run --profile smoke
        latentbench run --profile standard --method interfacegan --method l2l
        latentbench run --attribute age --set profile.standard.n_faces=20
        latentbench run --devices 2
        latentbench run --device cuda --scheduler tcp://10.0.0.5:8786
    """
    if dry_run:
        show_plan(request.chain, as_json=False)
        return
    settings = request.chain.settings  # settings, weights and methods are checked before anything is computed
    experiment = settings.experiment
    if request.chain.card.stand_in:
        err.print(
            f"{settings.domain}: stand-ins in place of official networks. No number of this run means anything.",
            style="bold yellow",
            highlight=False,
        )
    err.print(
        f"Domain {settings.domain}, profile {experiment.profile}: {experiment.n_latents:,} latents, "
        f"{counted(len(settings.method_names), 'method')} x {experiment.edits_per_method:,} edits, into "
        f"{settings.outputs}",
        highlight=False,
    )
    try:
        code = compute(request.evaluation, settings, verbose=verbose, timings=timings)
    except BusyError as error:
        err.print(f"latentbench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(int(retcode().already_running)) from error
    if code:
        err.print("Not complete. Finished stages are kept; `latentbench run` with the same options continues.")
        raise typer.Exit(code)
    folder = find_report(settings)
    if folder is not None:
        with whatever_is_printed():
            print_summary(folder, out)
