"""Shards of what is done once per method, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.storage.stages import ShardRecord, write_shard
from pipeline.tables.parquet import write_table


@dataclass(frozen=True)
class MethodShard:
    """What is done once per method, or per method and attribute."""

    name: str
    method: str
    attribute: str = ""


def write_columns(folder: Path, name: str, columns: dict[str, Any], schema: pa.Schema, seconds: float) -> ShardRecord:
    """Write the columns as a table's shard into a stage's folder; `seconds` is what they took."""
    return write_shard(folder, name, lambda path: write_table(columns, schema, path), seconds=seconds)
