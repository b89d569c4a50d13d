"""The one reader and the one writer of Parquet: exact schemas in and out, the same bytes for the same rows.

Vectors are fixed-size lists of float32, byte-stream-split and without dictionary, which is smallest and reads
fastest; everything is zstd. No file holds a time or a name of a machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import CorruptShardError, StageError
from pipeline.settings.paths import open_regular
from pipeline.storage.files import unreadable
from pipeline.storage.stages import ShardRecord, Stage, check_shard, shards_of
from pipeline.tables.fields import VALUE_COLUMNS

ROW_GROUP = 16_384  # rows; 32 MiB of 512-vectors
BATCH = 1_024  # rows that are decoded at once where only the first are read; 2 MiB of 512-vectors
SUFFIX = ".parquet"


def write_table(
    table: pa.Table | Mapping[str, Any],
    schema: pa.Schema,
    path: Path,
    *,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write rows by a schema and return how many. The same rows give the same bytes.

    `table` is an Arrow table or columns by name: arrays, lists, or (N, d) float32 arrays for vectors. `metadata`
    joins the schema's own in the file. Raises StageError if columns, types, lengths or nulls differ.
    """
    exact = _conform(table, schema)
    exact = exact.replace_schema_metadata({**(schema.metadata or {}), **_encoded(metadata or {})})
    vector_leaves = [f"{field.name}.list.element" for field in schema if pa.types.is_fixed_size_list(field.type)]
    words = [field.name for field in schema if pa.types.is_string(field.type)]
    pq.write_table(
        exact,
        local(path),
        compression="zstd",
        use_dictionary=words,
        use_byte_stream_split=vector_leaves,
        row_group_size=ROW_GROUP,
    )
    return int(exact.num_rows)


def read_table(paths: Path | Sequence[Path], schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one or more files, in order, by a schema; `columns` selects some of its columns.

    A nullable column that an older file lacks is null. Raises CorruptShardError, naming the file, if it
    cannot be read or has other columns.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    expected = _chosen(schema, columns)
    return pa.concat_tables([_read_file(path, expected) for path in files] or [expected.empty_table()])


def read_first(path: Path, schema: pa.Schema, count: int, columns: Sequence[str] | None = None) -> tuple[pa.Table, int]:
    """The first `count` rows of a file by a schema, and how many rows the file has; the others are not decoded.

    Raises CorruptShardError, naming the file, if it cannot be read or has other columns.
    """
    expected = _chosen(schema, columns)
    try:
        with open_regular(path) as opened, pq.ParquetFile(opened) as file:
            present = [field.name for field in expected if field.name in file.schema_arrow.names]
            batches, left = [], count
            for batch in file.iter_batches(batch_size=min(BATCH, count), columns=present) if count else ():
                batches.append(batch.slice(0, left))
                left -= batches[-1].num_rows
                if not left:
                    break
            kinds = pa.schema([file.schema_arrow.field(name) for name in present])
            table = pa.Table.from_batches(batches, schema=kinds)
            return _by_schema(table, present, expected, path), int(file.metadata.num_rows)
    except (
        pa.ArrowException,
        OSError,
        KeyError,
    ) as error:  # KeyError: a column name occurs twice
        raise CorruptShardError(f"{path} cannot be read as Parquet: {error}") from error


def read_stage(stage: Stage, outputs: Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Every row of one table of a published stage, shard by shard; each file is checked against the manifest.

    Raises StageError if the stage is not published or has no such table, CorruptShardError naming a file that differs.
    """
    paths = []
    for path, record in table_shards(stage, outputs, schema):
        check_shard(path, record)
        paths.append(path)
    return read_table(paths, schema, columns)


def table_shards(stage: Stage, outputs: Path, schema: pa.Schema) -> list[tuple[Path, ShardRecord]]:
    """Path and record of each file of a published stage with the table of this schema, in order; not checked.

    The name of a file begins with its table: TABLE.parquet or TABLE-WHICH.parquet. Raises StageError if there is none.
    """
    shards = [(path, record) for path, record in shards_of(stage, outputs) if path.suffix == SUFFIX]
    table = table_name(schema)
    chosen = [(path, record) for path, record in shards if table_of(path.name) == table]
    if not chosen:
        tables = sorted({table_of(path.name) for path, _ in shards})
        raise StageError(
            f"Stage {stage.title} has no table {table!r}, expected {table}{SUFFIX} or {table}-WHICH{SUFFIX}, found "
            f"the tables {tables} in {stage.folder(outputs)}. Does the stage write another table?"
        )
    return chosen


def table_of(name: str) -> str:
    """The table that a file of a stage holds, by its name: edits-age-000000-000004.parquet -> edits."""
    return re.split("[-.]", name, maxsplit=1)[0]


def table_name(schema: pa.Schema) -> str:
    """The name of the table of a schema, from the metadata; empty if the metadata has none."""
    return (schema.metadata or {}).get(b"latentbench.table", b"").decode()


def vectors(table: pa.Table, column: str) -> np.ndarray:
    """A column of vectors as (N, d) float32; a view of the table's memory where it is in one piece."""
    chunked = table.column(column)
    width = chunked.type.list_size
    parts = [chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, width) for chunk in chunked.chunks]
    if not parts:
        return np.empty((0, width), np.float32)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def values_of(table: pa.Table) -> np.ndarray:
    """The 35 attribute columns as (N, 35) float32, in the order of `attributes.NAMES`."""
    result = np.empty((table.num_rows, len(VALUE_COLUMNS)), np.float32)
    for index, name in enumerate(VALUE_COLUMNS):
        result[:, index] = table.column(name).to_numpy()
    return result


def value_columns(values: np.ndarray) -> dict[str, np.ndarray]:
    """Values (N, 35), in the order of `attributes.NAMES`, as the columns of a table."""
    if values.ndim != 2 or values.shape[1] != len(VALUE_COLUMNS):
        raise StageError(f"Attribute values have shape {values.shape}, expected (N, {len(VALUE_COLUMNS)}).")
    return {name: values[:, index] for index, name in enumerate(VALUE_COLUMNS)}


def local(path: Path) -> str:
    """An absolute path for pyarrow, which expands `~` in a relative path and reads `a:b/c` as a URI."""
    return str(path.absolute())


def _encoded(metadata: Mapping[str, str]) -> dict[bytes, bytes]:
    return {key.encode(): value.encode() for key, value in sorted(metadata.items())}


def _conform(table: pa.Table | Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """The same rows with exactly the schema's columns and types, in its order."""
    names = list(table.column_names) if isinstance(table, pa.Table) else list(table)
    missing, extra = sorted(set(schema.names) - set(names)), sorted(set(names) - set(schema.names))
    optional = {field.name for field in schema if field.nullable}
    if extra or set(missing) - optional:
        raise StageError(
            f"A {table_name(schema)} table lacks {missing or 'nothing'} and has {extra or 'nothing'} that its schema "
            "does not know: pipeline/tables/schemas.py declares every column."
        )
    present = [name for name in names if name in schema.names]
    rows = table.num_rows if isinstance(table, pa.Table) else len(table[present[0]]) if present else 0
    columns = [_column(table[field.name] if field.name in names else None, field, rows) for field in schema]
    for field, column in zip(schema, columns, strict=True):
        if len(column) != rows:
            raise StageError(f"Column {field.name} has {len(column)} rows, expected {rows}.")
        if column.null_count and not field.nullable:
            raise StageError(f"Column {field.name} has {column.null_count} nulls; its schema allows none.")
    return pa.table(columns, schema=schema)


def _column(values: Any, field: pa.Field, rows: int) -> pa.Array | pa.ChunkedArray:
    """One column as Arrow data of the field's type."""
    try:
        if values is None:
            return pa.nulls(rows, field.type)
        if isinstance(values, pa.Array | pa.ChunkedArray):
            return values.cast(field.type)
        if pa.types.is_fixed_size_list(field.type):
            return _vector_column(np.asarray(values), field.type)
        if isinstance(values, np.ndarray):
            values = np.ascontiguousarray(values)
            if pa.types.is_float32(field.type):
                values = values.astype(np.float32, copy=False)
        return pa.array(values, type=field.type)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise StageError(f"Column {field.name} is not {field.type}: {error}") from error


def _vector_column(values: np.ndarray, kind: pa.FixedSizeListType) -> pa.Array:
    if values.ndim != 2 or values.shape[1] != kind.list_size:
        raise ValueError(f"shape {values.shape}, expected (N, {kind.list_size})")
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, type=kind.value_type), type=kind)


def _chosen(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return schema
    unknown = [name for name in columns if name not in schema.names]
    if unknown:
        raise StageError(f"The {table_name(schema)} table has no column {unknown[0]!r}. Known: {schema.names}.")
    return pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)


def _read_file(path: Path, expected: pa.Schema) -> pa.Table:
    """One file by a schema. Opened directly, so that pyarrow infers no partition columns from the path."""
    try:
        with pq.ParquetFile(local(path)) as file:
            present = [field.name for field in expected if field.name in file.schema_arrow.names]
            held = table_name(file.schema_arrow)
            table = file.read(columns=present)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, FileNotFoundError):
            raise unreadable(path, error) from error
        raise CorruptShardError(f"{path} cannot be read as Parquet: {error}") from error
    if held and held != table_name(expected):
        raise CorruptShardError(f"{path} holds the table {held!r}, expected {table_name(expected)!r}.")
    return _by_schema(table, present, expected, path)


def _by_schema(table: pa.Table, present: Sequence[str], expected: pa.Schema, path: Path) -> pa.Table:
    """The columns of a file in the order and types of a schema. Raises CorruptShardError if they differ."""
    columns = []
    for field in expected:
        if field.name not in present and not field.nullable:
            raise CorruptShardError(f"{path} has no column {field.name}, which its table must have.")
        column = table.column(field.name) if field.name in present else pa.nulls(table.num_rows, field.type)
        if column.type != field.type:
            raise CorruptShardError(f"{path}: column {field.name} is {column.type}, expected {field.type}.")
        columns.append(column)
    return pa.table(columns, schema=expected)
