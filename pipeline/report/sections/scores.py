"""Every score of the run, as in scores.parquet: once, as JSON, of which the page shows the rows that are asked for."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.report.contents import Contents
from pipeline.report.sections import PageSection

# column of SCORES -> heading, and how its numbers are written; None for a text
COLUMNS: dict[str, tuple[str, str | None]] = {
    "protocol": ("protocol", None),
    "method": ("method", None),
    "attribute": ("attribute", None),
    "metric": ("metric", None),
    "level": ("level", "g"),
    "value": ("value", ".5g"),
    "ci_low": ("from", ".4g"),
    "ci_high": ("to", ".4g"),
    "n_faces": ("faces", "d"),
    "n_images": ("images", "d"),
    "network": ("network", None),
    "flag": ("flag", None),
}


def score_lines(contents: Contents) -> dict[str, Any]:
    """`head`: (heading, whether numbers stand below) of each column; `texts`: all texts of the rows, each once; `rows`:
    the texts' places, JSON-compatible."""
    places: dict[str, int] = {}
    columns = []
    for name, (_, form) in COLUMNS.items():
        texts = [_text(value, form) for value in contents.scores[name]]
        columns.append([places.setdefault(text, len(places)) for text in texts])
    head = [(heading, form is not None) for heading, form in COLUMNS.values()]
    return {"head": head, "texts": list(places), "rows": [list(row) for row in zip(*columns, strict=True)]}


def _text(value: Any, form: str | None) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    return str(value) if form is None else f"{value:{form}}"


SECTION = PageSection(
    key="all",
    title="Every score",
    order=112,
    template="scores.html.j2",
    values=lambda contents: {"scores": score_lines(contents)},
)
