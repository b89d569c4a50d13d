"""`latentbench methods` (and its `check`), `attributes`, `metrics` and `domains`: what can be named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline import attributes as known_attributes
from pipeline.domains import base as known_domains
from pipeline.errors import WeightsError
from pipeline.methods import registry
from pipeline.metrics import base as known_metrics
from pipeline.metrics import protocols as known_protocols
from tasks.cli.consoles import err, out
from tasks.cli.options import Changes, Device, Domain, request
from tasks.cli.verb_table import OF_METHODS
from tasks.cli.verbs import LazyGroup

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _show(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column, name in enumerate(rows[0]):
        table.add_column(name, no_wrap=not column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(value)) for value in row.values()))
    out.print(table)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


class MethodVerbs(LazyGroup):
    """`methods`, and the verbs that do something with one method."""

    verbs = OF_METHODS


methods_app = typer.Typer(cls=MethodVerbs, invoke_without_command=True)


@methods_app.callback()
def methods(context: typer.Context, as_json: AsJson = False) -> None:
    """List the editing methods, with paper, unit of strength and what they learn from.

    Directions out of your own files are methods too: `--method file:NAME=PATH` (docs/howto/own-directions.md).
    Your own package adds methods by the entry point `latentbench.methods` (docs/tutorial/own-method.md).
    """
    if context.invoked_subcommand is not None:
        return
    broken = registry.broken()
    _show([_method(name) for name in registry.names() if name not in broken], as_json=as_json)
    for name, fault in broken.items():
        err.print(f"{name} cannot be used: {fault}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _method(name: str) -> dict[str, Any]:
    method = registry.get(name)
    return {
        "method": name,
        "version": method.version,
        "learns from": method.supervision,
        "space": method.space,
        "unit of strength": method.unit,
        "control": method.control,
        "paper": f"{method.paper.title}, {method.paper.venue}".strip(", "),
    }


@methods_app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A method (`latentbench methods`), or file:NAME=PATH.")],
    latents: Annotated[int, typer.Option(min=64, help="Latents to label and fit on.")] = 256,
    domain: Domain = "",
    changes: Changes = None,
    device: Device = "",
    as_json: AsJson = False,
) -> None:
    """Check that a method keeps the contract: fit it on a few latents and try every promise.

    Settings are luigi.cfg's, at the sizes of profile smoke. Exit code 0: every promise is kept; 1: some are not.

    Example: latentbench methods check interfacegan
    """
    from pipeline.chain.trial import sample
    from pipeline.methods import contract

    settings = request(domain=domain, profile="smoke", methods=[name], changes=changes, device=device).settings
    (name,) = settings.method_names
    method = registry.build(name, settings.method_parameters(name), settings.source_of(name))
    method.check(known_domains.describe(settings.domain, settings.sources), attributes=())
    loaded = known_domains.load(settings.domain, settings.machine.device, sources=settings.sources)
    verdicts = []
    with err.status(f"{name}: labelling {latents} latents of {settings.domain}") as status:
        subject = sample(settings, loaded, name, latents)
        status.update(f"{name}: fitting it twice, and checking")
        for verdict in contract.verdicts(subject):
            verdicts.append(verdict)
            status.update(f"{name}: {len(verdicts)} of {len(contract.CHECKS)} checked")
    rows = [
        {
            "check": verdict.check.replace("_", " "),
            "kept": not verdict.fault,
            "promise": verdict.promise,
            "what is wrong": verdict.fault,
        }
        for verdict in verdicts
    ]
    _show(rows, as_json=as_json)
    broken = sum(bool(verdict.fault) for verdict in verdicts)
    if broken:
        err.print(f"{name} breaks {broken} of {len(verdicts)} promises.", style="red", highlight=False)
        raise typer.Exit(1)
    if not as_json:
        out.print(f"{name} keeps all {len(verdicts)} promises.", highlight=False)


def attributes(as_json: AsJson = False) -> None:
    """List the 35 attributes, and which of them the evaluation edits under which name."""
    edited = {column: name for name, column in known_attributes.EVALUATED.items()}
    rows = [
        {
            "attribute": attribute.name,
            "edited as": edited.get(attribute.name, ""),
            "kind": attribute.kind,
            "low": attribute.low,
            "high": attribute.high,
            "unit": attribute.unit,
            "meaning": attribute.meaning,
        }
        for attribute in known_attributes.ATTRIBUTES
    ]
    _show(rows, as_json=as_json)


def metrics(as_json: AsJson = False) -> None:
    """List the metrics, with unit, which way is better, whose edits they judge, and what they mean."""
    chosen = [known_metrics.get(name) for name in known_metrics.names()]
    rows = [
        {
            "metric": metric.name,
            "version": metric.version,
            "unit": metric.unit,
            "better": metric.better,
            "protocols": ", ".join(metric.protocols),
            "judged by": ", ".join(metric.roles) or known_metrics.NO_NETWORK,
            "meaning": metric.meaning,
            "paper": metric.paper,
        }
        for metric in chosen
    ]
    _show(rows, as_json=as_json)


def protocols(as_json: AsJson = False) -> None:
    """List the protocols: question, source, size settings and metrics of each."""
    rows = [
        {
            "protocol": protocol.name,
            "asks": protocol.asks,
            "source": protocol.source,
            "sizes": ", ".join(protocol.sizes),
            "metrics": ", ".join(protocol.metrics),
        }
        for protocol in known_protocols.PROTOCOLS
    ]
    _show(rows, as_json=as_json)


def domains(as_json: AsJson = False) -> None:
    """List the domains: a generator and the networks that judge its images."""
    _show([_domain(name) for name in known_domains.names()], as_json=as_json)


def _domain(name: str) -> dict[str, Any]:
    try:
        card = known_domains.describe(name)
    except WeightsError as error:
        return {"domain": name, "pixels": "", "networks": "", "summary": str(error).partition("\n")[0]}
    return {"domain": name, "pixels": card.resolution, "networks": len(card.weights), "summary": card.summary}
