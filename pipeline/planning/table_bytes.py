"""Bytes of tables on disk, from their schemas: rows, and the footers and records of their files."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pyarrow as pa

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Compressed share of a column's bytes, measured in runs of profiles smoke and standard. Floats hardly compress:
# byte-stream-split zstd leaves .85 of w, .9 of scorers' values.
VECTOR_LEFT, FLOAT_LEFT, DOUBLE_LEFT, WHOLE_LEFT = 0.87, 0.92, 0.4, 0.3
WORD_BYTES = 0.2  # per row, of a dictionary-coded word; a file has few different words
COLUMN_BYTES, FILE_BYTES = 440, 400  # of a file's footer: name, unit, meaning and statistics of each column
RECORD_BYTES, MANIFEST_BYTES = 450, 2 * KIB


def row_bytes(schema: pa.Schema, lengths: Mapping[str, float] | None = None) -> float:
    """Bytes of one row in Parquet, without footers; `lengths`: of lists without a fixed length, by column."""
    return sum(_field_bytes(field.type, (lengths or {}).get(field.name, 3)) for field in schema)


def _field_bytes(kind: pa.DataType, length: float) -> float:
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size * 4 * VECTOR_LEFT
    if pa.types.is_list(kind):
        return length * _field_bytes(kind.value_type, 0)
    if pa.types.is_float32(kind):
        return 4 * FLOAT_LEFT
    if pa.types.is_float64(kind):
        return 8 * DOUBLE_LEFT
    if pa.types.is_boolean(kind):
        return 1 / 8
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return kind.bit_width / 8 * WHOLE_LEFT
    return WORD_BYTES


def table_bytes(schema: pa.Schema, rows: float, files: int, lengths: Mapping[str, float] | None = None) -> int:
    """Bytes of a table of `rows` rows in `files` files, with their footers and records.

    >>> table_bytes(pa.schema([pa.field("flag", pa.bool_())]), rows=8000, files=1)  # 8000 bits + 440 + 400 + 450
    2290
    """
    footer = FILE_BYTES + COLUMN_BYTES * len(schema) + RECORD_BYTES
    return math.ceil(rows * row_bytes(schema, lengths) + files * footer)
