"""The reference run that the repository ships, laid down as a published run; and other nights, made from it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.report.archive import STAMP
from pipeline.report.packed import unpack
from tests.builders.random_run import publish_folder

REFERENCE = Path(__file__).parents[2] / "reference" / "synthface-smoke.tar.xz"
MOVED = 0.2  # scale of the factors' logarithms


def lay_down(outputs: Path) -> Path:
    """The reference run's folder, under outputs."""
    return unpack(REFERENCE, outputs)


def add_night(outputs: Path, reference: Path, date: datetime, digest: str) -> Path:
    """Publish the reference run once more, as of another night: every score with its interval is moved by a factor."""
    run_id = f"{date:{STAMP}}-{digest}"
    tables = {path.stem: pq.ParquetFile(path).read() for path in sorted(reference.glob("*.parquet"))}
    scores = tables["scores"]
    factors = pa.array(np.random.default_rng(date.toordinal()).lognormal(0, MOVED, scores.num_rows))
    for name in ("value", "ci_low", "ci_high"):
        scores = _with(scores, name, pc.multiply(scores[name], factors))
    for name, table in {**tables, "scores": scores}.items():
        if "run_id" in table.column_names:
            rows = table.num_rows
            table = _with(table, "run_id", pa.array([run_id] * rows))
            tables[name] = _with(table, "run_date", pa.array([date] * rows, table.schema.field("run_date").type))
    return publish_folder(outputs, run_id, tables)


def _with(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The table with one column replaced."""
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
