"""The page of the published tables, written from their schemas.

python -m pipeline.tables.document docs/reference/tables.md    writes it again, after a column or a table came
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.attributes import NAMES
from pipeline.tables.bounds import bounds_of
from pipeline.tables.descriptions import DESCRIPTIONS
from pipeline.tables.fields import CHANGE_COLUMNS, VALUE_COLUMNS
from pipeline.tables.parquet import ROW_GROUP
from pipeline.tables.schemas import LATER, PUBLISHED

# Columns that there is one of for each attribute: written as one line of the page.
FAMILIES = {VALUE_COLUMNS: "value_{attribute}", CHANGE_COLUMNS: "change_{attribute}"}

HEAD = """# The published tables

Written from the schemas by `python -m pipeline.tables.document docs/reference/tables.md`; a test compares the two. The
Parquet metadata of every file has unit and meaning of each column too, `latentbench query "DESCRIBE scores"` lists the
columns, and `latentbench export FILE.duckdb` keeps the meanings as comments. The [cookbook](../howto/cookbook.md)
answers twelve questions with these tables.

## Where they lie

A run is a folder with one file for each table:

    outputs/reports/run_id=20261120T031500Z-1a2b3c4d/{scores,edits,...}.parquet

The folders are a Hive partition by `run_id`. A run id is text: the UTC time of publication and eight digits of the
run's fingerprint. A run of the task `Nightly` has its night as the time, `20261120T000000Z-1a2b3c4d`. DuckDB, pandas,
polars and pyarrow all read it as text, never as a date or a number. A folder appears whole, by one rename, and is never
changed; its `manifest.json` has the sha256 of each file.

- **`run_id`.** `scores` and `runs` hold it in their files, the other tables have it from the folder. So pandas and
  pyarrow want `partitioning=None` for a list of files of these two, and no such option for a list of files of another.
- **Order.** Rows of a method lie together, in these the rows of an attribute, and so on, as each table says: methods in
  the run's order, attributes by the alphabet with `all` last, direction +1 first, numbers rising.
- **Files.** One file for each table and run, zstd, in row groups of {row_group} rows; vectors and texts as Arrow's.
- **Missing.** A null is a value that does not exist; the column says why. NaN is a score that is not a number.
- **Months of runs.** A schema only gains columns, which may be null: unite runs by column name (`union_by_name`).
  A run that was published before a table existed has no file of it; every run has {first}.
- **Scores.** Name a `protocol` in every question to `scores`: a metric may be judged on the edits of several
  ([protocol.md](../explanation/protocol.md)). `flag` says why a score should not be relied on.
"""


def page() -> str:
    """The whole page, as Markdown."""
    first = ", ".join(f"`{name}`" for name in PUBLISHED if name not in LATER)
    head = HEAD.replace("{row_group}", f"{ROW_GROUP:,}").replace("{first}", first)
    return "\n".join([head, *_overview(), *(line for name in PUBLISHED for line in _section(name))]) + "\n"


def _overview() -> Iterator[str]:
    """What a row of each table is, and which columns name it."""
    yield from ("## Tables", "", "| table | a row is | columns that name it, within a run |", "|---|---|---|")
    for name in PUBLISHED:
        described = DESCRIPTIONS[name]
        row = described.row.removesuffix(".")
        yield f"| [{name}](#{name}) | {row[0].lower()}{row[1:]} | {', '.join(f'`{key}`' for key in described.key)} |"


def _section(name: str) -> Iterator[str]:
    """One table: its row, its order, its columns."""
    described = DESCRIPTIONS[name]
    yield from ("", f"## {name}", "", described.row, "")
    if described.order:
        yield from (f"Rows lie by {', '.join(f'`{column}`' for column in described.order)}.", "")
    yield from ("| column | type | unit | values | meaning |", "|---|---|---|---|---|")
    yield from dict.fromkeys(_line(field, described.key) for field in PUBLISHED[name])


def _line(field: pa.Field, key: tuple[str, ...]) -> str:
    """One column, or one family of columns."""
    name, meaning = field.name, field.metadata[b"meaning"].decode()
    for family, written in FAMILIES.items():
        if name in family:
            attribute = NAMES[family.index(name)]
            name, meaning = written, meaning.replace(attribute, "the attribute", 1)
    kind = f"{field.type}".replace("<item: ", " of ").replace("<element: ", " of ").removesuffix(">")
    nulls = ", or null" if field.nullable else ""
    unit = field.metadata[b"unit"].decode()
    mark = " (key)" if field.name in key else ""
    return f"| `{name}`{mark} | {kind} | {unit} | {bounds_of(field)}{nulls} | {meaning.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
