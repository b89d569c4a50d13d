"""`latentbench methods ablate`: a method with one thing changed at a time, through the ordinary chain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.chain.links import Chain
from pipeline.errors import BusyError
from pipeline.methods import registry
from pipeline.methods.variants import as_text, choose
from pipeline.planning.plan import THERE, plan
from pipeline.progress import in_time
from pipeline.report.ablation.page import text_table
from pipeline.report.ablation.publish import PAGE, read_ablation, run_ablation
from pipeline.report.ablation.table import VariantRun
from pipeline.report.contents import size_warning
from pipeline.storage.stages import Stage
from tasks.cli import options
from tasks.cli.computing import compute
from tasks.cli.consoles import err, out
from tasks.cli.options import Request
from tasks.luigi_apart import retcode


def ablate(
    method: Annotated[str, typer.Argument(help="A method that declares variants: l2l.")],
    variant: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            help="A variant; repeat for several; none: all. base is always one.",
            rich_help_panel=options.WHAT,
        ),
    ] = None,
    domain: options.Domain = "",
    profile: options.Profile = "",
    attribute: options.Attributes = None,
    change: options.Changes = None,
    outputs: options.Outputs = None,
    device: options.Device = "",
    executor: options.Executor = "",
    scheduler: options.Scheduler = "",
    workers: options.Workers = None,
    threads: options.Threads = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the variants and what each would compute, compute nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run a method with one thing changed at a time, and publish a table and a page of what that does to every score.

    Of l2l: each loss removed; hidden layers as wide as the code (512, the paper) and narrower (256, the patent);
    one edited code for all layers (W) and one for each (W+); the residual mapper and the plain one. Every variant is
    trained, calibrated, edited and scored as `latentbench run` does it, on the same latents, labels and faces.
    Resumes: what is there, from an ordinary run too, is not computed again.

    Examples:

        latentbench methods ablate l2l --profile standard
        latentbench methods ablate l2l --profile smoke --variant no-cycle --variant w-plus
        latentbench methods ablate l2l --dry-run
    """
    parameters: dict[str, Any] = {
        "domain": domain,
        "profile": profile,
        "methods": [method],
        "attributes": attribute,
        "outputs": outputs,
        "device": device,
        "executor": executor,
        "scheduler": scheduler,
        "workers": workers,
        "threads": threads,
    }
    base = options.request(changes=change, **parameters).settings
    configured = registry.build(method, base.method_parameters(method), base.source_of(method)).parameters()
    runs, requests = [], []
    for chosen in choose(method, configured, variant or ()):
        texts = [*(change or ()), *(f"{key}={text}" for key, text in chosen.overrides(method).items())]
        requests.append(options.request(changes=texts, **parameters))
        runs.append(VariantRun(chosen, requests[-1].chain.settings))  # every variant is checked before one is computed
    if dry_run:
        _show_plan(method, runs, configured, as_json=as_json)
        return
    _compute(method, runs, requests)
    folder = run_ablation(method, runs)
    table = read_ablation(folder)
    if as_json:
        typer.echo(table.to_json(orient="records", indent=1))
        return
    warning = size_warning(base.experiment)
    if warning:
        out.print(escape(warning), style="yellow", highlight=False)
    judge = requests[0].chain.card.networks["recognizer_b"]
    out.print(text_table(table, judge))
    out.print(f"Page: {folder / PAGE}", highlight=False, soft_wrap=True)


def _compute(method: str, runs: Sequence[VariantRun], requests: Sequence[Request]) -> None:
    """Every missing stage of every variant; exits with one of [retcode] if some could not be computed."""
    failed = {}
    for number, (run, request) in enumerate(zip(runs, requests, strict=True), start=1):
        changes = (
            ", ".join(f"{key} = {as_text(value)}" for key, value in run.variant.changes.items()) or run.variant.tests
        )
        heading = f"{method}, variant {run.variant.name} ({number} of {len(runs)}): {changes}"
        err.print(f"[bold cyan]{escape(heading)}[/]", highlight=False)
        try:
            code = compute(request.stages, run.settings, console=err)
        except BusyError as error:
            err.print(f"latentbench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            code = int(retcode().already_running)
        if code:
            failed[run.variant.name] = code
    if failed:
        err.print(
            f"Not complete: {', '.join(failed)} could not be computed, so nothing was published. Finished stages are "
            "kept: the same command continues, and --variant leaves out what cannot be computed.",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(max(failed.values()))


def _show_plan(method: str, runs: Sequence[VariantRun], configured: dict[str, Any], *, as_json: bool) -> None:
    seen: set[Stage] = set()
    rows: list[dict[str, Any]] = []
    for run in runs:
        chain = Chain(run.settings)
        own = [
            row
            for link, row in zip(chain.links, plan(chain), strict=True)
            if row.state != THERE and link.stage not in seen
        ]
        seen.update(link.stage for link in chain.links)
        known = [row.seconds for row in own if row.seconds is not None]
        rows.append(
            {
                "variant": run.variant.name,
                "changed": run.variant.changed(configured),
                "tests": run.variant.tests,
                "stages to compute": len(own),
                "seconds": sum(known) if len(known) == len(own) else None,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    experiment = runs[0].settings.experiment
    title = f"Ablation of {method}: domain {runs[0].settings.domain}, profile {experiment.profile}"
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("variant", "change", "question", "to compute", "time"):
        table.add_column(column, no_wrap=column == "variant")
    for row in rows:
        time = "not known" if row["seconds"] is None else f"about {in_time(row['seconds'])}"
        count = row["stages to compute"]
        table.add_row(
            row["variant"],
            escape(row["changed"]),
            escape(row["tests"]),
            f"{count} stages" if count else "all is there",
            time if count else "",
        )
    out.print(table)
