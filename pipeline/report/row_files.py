"""Rows of a query as bytes of a file: a table of text, CSV, JSON, or Parquet."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.report.query import QueryError, frame
from pipeline.report.rows import print_rows
from pipeline.storage.files import write_whole


class Form(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


ENDINGS = {".txt": Form.table, ".csv": Form.csv, ".json": Form.json, ".parquet": Form.parquet}


def form_of(path: Path) -> Form:
    """The form that the ending of a file's name asks for. Raises UnknownNameError for another ending."""
    if path.suffix not in ENDINGS:
        raise UnknownNameError("ending of a file (without --format)", path.suffix, ENDINGS)
    return ENDINGS[path.suffix]


def write_rows(table: pa.Table, form: Form, target: Path, *, replace: bool = False) -> int:
    """Write rows to a file, which appears whole or not at all, and return its bytes.

    Raises ConfigError for a file that exists, without `replace`, QueryError for rows that the form cannot hold,
    StageError where it cannot be written.
    """
    data = encoded(table, form)
    check_target(target, replace=replace)
    _, _, size = write_whole(target.parent, target.name, lambda path: path.write_bytes(data))
    return size


def check_target(target: Path, *, replace: bool) -> None:
    """Raise ConfigError if a file cannot be written there without a harm: it exists, or is among published runs."""
    if target.is_dir() or not target.parent.is_dir():
        found = "a folder" if target.is_dir() else f"no folder {target.parent}"
        raise ConfigError(f"{target}: expected the name of a file in a folder that exists, found {found}.")
    if any(part.startswith("run_id=") for part in target.absolute().parts[:-1]):
        raise ConfigError(
            f"{target} would lie in the folder of a published run, which is never changed: choose another."
        )
    if target.exists() and not replace:
        raise ConfigError(f"{target} exists: name another file, or replace it with --force.")


def encoded(table: pa.Table, form: Form) -> bytes:
    """Rows as the bytes of a file. Raises QueryError where two columns have a name that the form needs once."""
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and form in (Form.json, Form.parquet):
        raise QueryError(f"Two columns are named {twice[0]!r}, which {form} cannot hold: rename one with AS.")
    writers: dict[Form, Callable[[pa.Table], bytes]] = {
        Form.table: _text,
        Form.csv: _csv,
        Form.json: _json,
        Form.parquet: _parquet,
    }
    return writers[form](table)


def _text(table: pa.Table) -> bytes:
    from rich.console import Console

    text = io.StringIO()
    print_rows(frame(table), Console(file=text))
    return text.getvalue().encode()


def _csv(table: pa.Table) -> bytes:
    """CSV with a line of names; lists and structures are JSON."""
    rows = frame(table)
    for place, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            values = [
                None if value is None else json.dumps(_json_value(value)) for value in table.column(place).to_pylist()
            ]
            rows.isetitem(place, values)
    return str(rows.to_csv(index=False)).encode()


def _json(table: pa.Table) -> bytes:
    """A list of objects; NaN and infinite numbers are null, times and dates ISO 8601."""
    rows = [{name: _json_value(value) for name, value in row.items()} for row in table.to_pylist()]
    return (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode()


def _json_value(value: Any) -> Any:
    """A value of Arrow as JSON knows it."""
    if isinstance(value, dict):
        return {name: _json_value(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_json_value(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):  # and times, which are dates too
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
