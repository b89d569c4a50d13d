"""Every table by its name, with the unit and meaning of every column. Nobody else spells a column.

A schema only ever gains nullable columns; its version stands in the file's metadata. `parquet.py` reads and
writes by these schemas. They are declared by subject (`chain`, `scores`, `runs`, `by_eye`), from the
columns of `fields`.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.tables.by_eye import BY_EYE
from pipeline.tables.chain import (
    CONSISTENCY,
    EDITS,
    GALLERY,
    INVERTED,
    LABELS,
    LATENTS,
    MATCHED,
    RANGES,
    RATES,
    SPREAD,
    TIMINGS,
    UNEDITED,
    features,
)
from pipeline.tables.fields import (
    CHANGE_COLUMNS,
    FORMAT_VERSION,
    VALUE_COLUMNS,
    W_DIM,
    change_column,
    value_column,
)
from pipeline.tables.runs import RUNS
from pipeline.tables.scores import (
    ABLATION,
    DIFFERENCES,
    FACE_SCORES,
    JUDGES,
    RANKS,
    RESCORING,
    RUN_COLUMNS,
    SCORES,
    STAGE_SCORES,
)

__all__ = [
    "ABLATION",
    "BY_EYE",
    "CHANGE_COLUMNS",
    "CONSISTENCY",
    "DIFFERENCES",
    "EDITS",
    "FACE_SCORES",
    "FORMAT_VERSION",
    "GALLERY",
    "INVERTED",
    "JUDGES",
    "LABELS",
    "LATENTS",
    "LATER",
    "MATCHED",
    "PUBLISHED",
    "RANGES",
    "RANKS",
    "RATES",
    "RESCORING",
    "RUNS",
    "RUN_COLUMNS",
    "SCORES",
    "SPREAD",
    "STAGE_SCORES",
    "TIMINGS",
    "UNEDITED",
    "VALUE_COLUMNS",
    "W_DIM",
    "change_column",
    "features",
    "value_column",
]

# The tables of a report, in the order in which the page and `latentbench query` know them.
PUBLISHED: dict[str, pa.Schema] = {
    "scores": SCORES,
    "ranges": RANGES,
    "edits": EDITS,
    "matched": MATCHED,
    "rescoring": RESCORING,
    "rates": RATES,
    "consistency": CONSISTENCY,
    "runs": RUNS,
    "differences": DIFFERENCES,
    "ranks": RANKS,
    "judges": JUDGES,
    "face_scores": FACE_SCORES,
}
# Runs that were published before the others existed have these alone.
FIRST = ("scores", "ranges", "edits", "runs")
LATER = tuple(name for name in PUBLISHED if name not in FIRST)
