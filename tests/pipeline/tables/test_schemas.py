"""The columns of every table, against `columns.tsv`: files that users keep are read and queried by them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.attributes import NAMES
from pipeline.tables import schemas

GOLDEN = Path(__file__).with_name("columns.tsv")
SCHEMAS = {
    name: value for name, value in vars(schemas).items() if isinstance(value, pa.Schema) and not name.startswith("_")
} | {"features(8, 4)": schemas.features(8, 4)}


def lines_of(name: str, schema: pa.Schema) -> list[str]:
    """One line a column: schema, column, type, nullability, unit, meaning. The 35 attributes share a line."""
    lines = []
    for field in schema:
        cells = [name, field.name, str(field.type), "nullable" if field.nullable else "required"]
        cells += [field.metadata[key].decode() for key in (b"unit", b"meaning")]
        prefix, _, attribute = field.name.partition("_")
        if prefix in ("value", "change") and attribute in NAMES:
            cells = [cell.replace(attribute, "{attribute}") for cell in cells]
        if "\t".join(cells) not in lines:
            lines.append("\t".join(cells))
    return lines


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_column_changes_its_name_order_type_nullability_unit_or_meaning(name: str) -> None:
    """A new nullable column, or a new table, is a new line of columns.tsv; a line that is there stays as it is."""
    golden = [line for line in GOLDEN.read_text().splitlines() if line.startswith(f"{name}\t")]
    assert golden and lines_of(name, SCHEMAS[name]) == golden


def test_every_table_of_the_file_is_declared() -> None:
    assert {line.partition("\t")[0] for line in GOLDEN.read_text().splitlines()} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_metadata_of_a_schema_and_its_columns_is_exactly_what_files_have(name: str) -> None:
    schema = SCHEMAS[name]
    assert set(schema.metadata) == {b"latentbench.table", b"latentbench.schema_version"}
    assert schema.metadata[b"latentbench.schema_version"] == b"1"
    assert all(list(field.metadata) == [b"unit", b"meaning"] for field in schema)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("LABELS", "EDITS", "MATCHED"), schemas.VALUE_COLUMNS),
        (("MATCHED",), schemas.CHANGE_COLUMNS),
    ],
)
def test_the_35_attributes_have_a_column_each_in_one_order(names: tuple[str, ...], columns: tuple[str, ...]) -> None:
    prefix = columns[0].partition("_")[0]
    assert columns == tuple(f"{prefix}_{name}" for name in NAMES)
    for name in names:
        first = SCHEMAS[name].names.index(columns[0])
        assert tuple(SCHEMAS[name].names[first : first + len(columns)]) == columns


def test_the_tables_of_a_report_are_named_as_their_files_say() -> None:
    for name, schema in schemas.PUBLISHED.items():
        assert schema.metadata[b"latentbench.table"].decode() == name
    assert set(schemas.LATER) < set(schemas.PUBLISHED)
