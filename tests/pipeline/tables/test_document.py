"""The page of the tables is written from the schemas, and what it says of rows and values is true of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.report.packed import PER_IMAGE
from pipeline.tables.bounds import Bounds, bounds_of
from pipeline.tables.descriptions import DESCRIPTIONS
from pipeline.tables.document import FAMILIES, page
from pipeline.tables.schemas import PUBLISHED
from tests.builders import random_run, reference_run

PAGE = Path(__file__).parents[3] / "docs/reference/tables.md"
ROUNDING = 1e-5  # of float32


@pytest.fixture(scope="module")
def run() -> dict[str, pa.Table]:
    return random_run.whole()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m pipeline.tables.document docs/reference/tables.md"


def test_every_table_and_column_is_on_the_page() -> None:
    assert list(DESCRIPTIONS) and set(DESCRIPTIONS) == set(PUBLISHED)
    sections = dict(part.split("\n", 1) for part in page().split("\n## ")[1:])
    families = {column: written for family, written in FAMILIES.items() for column in family}
    for name, schema in PUBLISHED.items():
        for field in schema:
            assert f"\n| `{families.get(field.name, field.name)}`" in sections[name]
            meaning = field.metadata[b"meaning"].decode().replace("|", r"\|")
            assert field.name in families or meaning in sections[name]
        assert sections[name].count("{attribute}") == sum(set(family) <= set(schema.names) for family in FAMILIES)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    folder = reference_run.lay_down(tmp_path_factory.mktemp("outputs"))
    return {path.stem: pq.ParquetFile(path).read() for path in folder.glob("*.parquet")}


def check_key(name: str, table: pa.Table) -> None:
    """No two rows have the same values in the key."""
    key = list(DESCRIPTIONS[name].key)
    if name == "judges":
        table = table.filter(pc.is_valid(table["value"]))
    assert table.num_rows and set(key) <= set(table.column_names)
    assert table.select(key).group_by(key).aggregate([]).num_rows == table.num_rows


def check_order(name: str, table: pa.Table) -> None:
    """Rows that are equal in the first columns of the order lie together."""
    order = DESCRIPTIONS[name].order
    for depth in range(1, len(order) + 1):
        groups = list(zip(*(table.column(column).to_pylist() for column in order[:depth]), strict=True))
        met = [group for group, before in zip(groups, [None, *groups[:-1]], strict=True) if group != before]
        assert len(met) == len(set(met)) > 1, order[:depth]


def check_bounds(name: str, table: pa.Table) -> None:
    """Numbers lie within the bounds of their columns, and words are those that the bounds name."""
    for field in PUBLISHED[name]:
        if field.name not in table.column_names:
            assert field.nullable, "a run that is older than the column"
            continue
        bounds, column = bounds_of(field), table.column(field.name)
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
            numbers = np.asarray(column.drop_null().to_numpy(), float)
            assert not len(numbers) or bounds.low is None or np.nanmin(numbers) >= bounds.low - ROUNDING, field.name
            assert not len(numbers) or bounds.high is None or np.nanmax(numbers) <= bounds.high + ROUNDING, field.name
        elif pa.types.is_string(field.type) and bounds.words not in (("text",), ("JSON",)):
            assert set(pc.unique(column.drop_null()).to_pylist()) <= set(bounds.words), field.name


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_the_page_says_is_true_of_a_run(run: dict[str, pa.Table], name: str) -> None:
    check_key(name, run[name])
    check_order(name, run[name])
    check_bounds(name, run[name])


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in PER_IMAGE])
def test_what_the_page_says_is_true_of_the_reference_run(reference: dict[str, pa.Table], name: str) -> None:
    check_key(name, reference[name])
    check_order(name, reference[name])
    check_bounds(name, reference[name])


def test_bounds_in_words() -> None:
    said = [str(bounds) for bounds in (Bounds(), Bounds(0), Bounds(0, 1), Bounds(-1, 1), Bounds(words=("a", "b")))]
    assert said == ["any", "0 or more", "0 to 1", "-1 to 1", "a, b"]
