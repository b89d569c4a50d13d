"""`latentbench nightly`: one night's evaluation, compared with the nights before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipeline.errors import BusyError, LatentbenchError
from pipeline.nights.conclusion import inform_of_failure, read_conclusion
from tasks.cli import options
from tasks.cli.computing import compute, whatever_is_printed
from tasks.cli.consoles import err, out
from tasks.luigi_apart import retcode
from tasks.mail import mailer, one_mail_a_night
from tasks.nights import Nightly, Nights, tonight

ALARMING = 1  # the exit code of a night with a regression or a drift
DAY = ["%Y-%m-%d"]


@options.naming_a_run()
def nightly(
    request: options.Request,
    night: Annotated[
        datetime | None,
        typer.Option("--date", formats=DAY, metavar="DATE", help="The night; without it today's date in UTC."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=DAY, metavar="DATE", help="Also every missing night from this one on.")
    ] = None,
    recompute_from: Annotated[
        str, typer.Option(metavar="STAGE", help="Measure this stage again, and all that follows from it.")
    ] = "",
    failed: Annotated[
        str, typer.Option(metavar="TEXT", help="Compute nothing: send the message that the night failed.")
    ] = "",
) -> None:
    """Publish a night's evaluation, compare it with the nights before, and send a message if it should be looked at.

    Stages that no setting, weight or version changed are not computed again. --recompute-from measures again all the
    same, so that a new driver or library shows; the earlier stages are set aside where they differ. [nights] of
    luigi.cfg says when a score is flagged, and who is informed. Exit codes: 0 quiet, or improvements alone; 1 a
    regression or a drift; 2 a setting is wrong; 10 the same run is going on; 20 to 40 not complete.

    Examples:

        latentbench nightly
        latentbench nightly --since 2026-11-01
        latentbench nightly --recompute-from edits
    """
    date = night.date() if night else tonight()
    last = Nightly(**{**request.parameters, "date": date, "recompute_from": recompute_from})
    if failed:
        inform_of_failure(last.settings, f"{date}", failed, mailer())
        return
    if since and since.date() > date:
        raise typer.BadParameter(f"expected a night up to {date}, found {since.date()}", param_hint="--since")
    _compute(last, last.clone(Nights, since=since.date() if since else date))
    conclusion = read_conclusion(last.settings, last.name)
    if conclusion is None:
        raise typer.Exit(int(retcode().missing_data))
    with whatever_is_printed():
        out.print(conclusion.paragraph, markup=False, highlight=False, soft_wrap=not out.is_terminal)
    if conclusion.result.alarming:
        raise typer.Exit(ALARMING)


def _compute(last: Nightly, task: Nights) -> None:
    """Compute what is missing of the nights. A night that fails sends a message and ends the verb."""
    failures: list[tuple[str, BaseException]] = []
    one_mail_a_night()
    try:
        last.requires()  # raises for a night to come, and for a stage that is not known
        code = compute(task, last.settings, console=err, failures=failures)
    except BusyError as error:
        err.print(f"latentbench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(int(retcode().already_running)) from error
    except LatentbenchError as error:
        inform_of_failure(last.settings, f"{last.date}", f"{error}", mailer())
        raise
    if code:
        reasons = "\n".join(f"- {title}: {error}" for title, error in failures)
        inform_of_failure(last.settings, f"{last.date}", f"Not complete, exit code {code}.\n\n{reasons}", mailer())
        err.print("Not complete. Finished stages are kept; the same command continues.")
        raise typer.Exit(code)
