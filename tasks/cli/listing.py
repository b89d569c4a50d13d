"""`latentbench methods`, `attributes`, `metrics` and `domains`: what can be named."""

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
from tasks.cli.options import out

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _show(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column, name in enumerate(rows[0]):
        table.add_column(name, no_wrap=not column)
    for row in rows:
        table.add_row(*(escape(_text(value)) for value in row.values()))
    out.print(table)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def methods(as_json: AsJson = False) -> None:
    """List the editing methods, with paper, unit of strength and what they learn from.

    Your own package adds methods by the entry point `latentbench.methods` (CONTRIBUTING.md).
    """
    rows = []
    for name in registry.names():
        method = registry.get(name)
        rows.append(
            {
                "method": name,
                "version": method.version,
                "learns from": method.supervision,
                "space": method.space,
                "unit of strength": method.unit,
                "control": method.control,
                "paper": f"{method.paper.title}, {method.paper.venue}".strip(", "),
            }
        )
    _show(rows, as_json=as_json)


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
    """List the metrics, with unit, which way is better, and what they mean."""
    found = [known_metrics.get(name) for name in known_metrics.names()]
    rows = [
        {
            "metric": metric.name,
            "version": metric.version,
            "unit": metric.unit,
            "better": metric.better,
            "judged by": ", ".join(metric.roles) or known_metrics.NO_NETWORK,
            "meaning": metric.meaning,
            "paper": metric.paper,
        }
        for metric in found
    ]
    _show(rows, as_json=as_json)


def domains(as_json: AsJson = False) -> None:
    """List the domains: a generator and the networks that judge its images."""
    _show([_domain(name) for name in known_domains.names()], as_json=as_json)


def _domain(name: str) -> dict[str, Any]:
    try:
        card = known_domains.describe(name)
    except WeightsError as error:
        return {"domain": name, "pixels": "", "networks": "", "summary": str(error)}
    return {"domain": name, "pixels": card.resolution, "networks": len(card.weights), "summary": card.summary}
