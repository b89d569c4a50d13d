"""A chart of a page: its Vega-Lite specification, and the tables that it reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from altair.typing import ChartType

DIGITS = 6  # significant digits of the numbers that a page contains


@dataclass(frozen=True)
class Chart:
    """One chart of the page, drawn when it comes near the window.

    key: of its id on the page, `chart-KEY`. caption: how to read it. described: one or two sentences for who does not
    see it; they say what is drawn over what. spec: Vega-Lite, JSON-compatible, its data by name. tables: those data, by
    name; two charts that read one name read the same table. panel: for panels side by side, the least width of one in
    pixels, and `panels` how many there are; 0 for one view as wide as the page. margin: pixels of the
    labels at the left, of every panel if each has a scale of its own. keyed: whether it shows methods, which the key
    above it hides.
    """

    key: str
    title: str
    caption: str
    described: str
    spec: Mapping[str, Any] = field(repr=False)
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    panel: int = 0
    panels: int = 1
    margin: int = 70
    keyed: bool = True


def specification(drawing: ChartType, described: str) -> dict[str, Any]:
    """The specification of an Altair chart, without the address of its schema and Altair's own style.

    Altair checks it against the schema of Vega-Lite and raises SchemaValidationError.
    """
    spec = drawing.to_dict()
    spec.pop("$schema", None)
    spec.pop("config", None)  # the page's script has the style, light and dark
    return {"description": described, **spec}


def data_names(spec: Any) -> set[str]:
    """The names of the data that a specification reads."""
    return set(_named(spec))


def _named(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        data = part.get("data")
        if isinstance(data, Mapping) and "name" in data:
            yield data["name"]
    inner: Iterable[Any] = part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
    for one in inner:
        yield from _named(one)


def in_page(charts: Sequence[Chart]) -> dict[str, Any]:
    """What the page's script reads, JSON-compatible: every chart by key, and every table once, as columns.

    Raises ValueError if two charts have one key, give one name to different tables, or if a chart lacks a table.
    """
    tables: dict[str, pd.DataFrame] = {}
    for chart in charts:
        missing = data_names(chart.spec) - set(chart.tables)
        if missing:
            raise ValueError(f"Chart {chart.key} reads {', '.join(sorted(missing))}, which its tables do not have.")
        for name, table in chart.tables.items():
            if not tables.setdefault(name, table).equals(table):
                raise ValueError(f"Two charts have different tables of the name {name}; chart {chart.key} is one.")
    drawn = {chart.key: _drawn(chart) for chart in charts}
    if len(drawn) < len(charts):
        raise ValueError(f"Two charts have one key, of: {', '.join(chart.key for chart in charts)}.")
    return {"charts": drawn, "tables": {name: columns(table) for name, table in tables.items()}}


def _drawn(chart: Chart) -> dict[str, Any]:
    return {
        "spec": chart.spec,
        "tables": list(chart.tables),
        "panel": chart.panel,
        "panels": chart.panels,
        "margin": chart.margin,
        "keyed": chart.keyed,
    }


def columns(table: pd.DataFrame) -> dict[str, Any]:
    """The columns of a table, JSON-compatible: numbers with DIGITS significant digits, None for what is not one.

    A column of texts is `texts`, each once, and `of`, the place of every row's text in it.
    """
    return {str(name): _column(column.tolist()) for name, column in table.items()}


def _column(values: list[Any]) -> list[Any] | dict[str, list[Any]]:
    if values and all(isinstance(value, str) for value in values):
        places = {text: place for place, text in enumerate(dict.fromkeys(values))}
        return {"texts": list(places), "of": [places[value] for value in values]}
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return None if value is pd.NA or value is pd.NaT else value
