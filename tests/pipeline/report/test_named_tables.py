"""Every table of a run has a name of its own, and is printed in full by it."""

from __future__ import annotations

import io
from functools import cache

import pytest
from rich.console import Console

from pipeline.errors import UnknownNameError
from pipeline.report import named_tables
from pipeline.report.contents import Contents, contents_of
from pipeline.report.grids import Grid, number
from pipeline.report.sections import TextTable, sections
from tests.builders import random_run


@cache
def contents() -> Contents:
    return contents_of(random_run.whole())


@cache
def tables() -> dict[str, named_tables.NamedTable]:
    return named_tables.named_tables(contents())


def printed(name: str) -> str:
    text = io.StringIO()
    named_tables.print_table(named_tables.find_table(tables(), name), Console(file=text, width=100))
    return text.getvalue()


def test_every_table_of_every_section_has_a_name() -> None:
    grids = [grid for section in sections() for grid in section.tables(contents())]
    lists = [table for section in sections() for table in section.lists(contents()) if table.rows]
    assert len(grids) > 20 and lists
    assert next(iter(tables())) == "leaderboard"
    assert [table.title for table in tables().values()][1:] == [table.title for table in [*grids, *lists]]


def test_names_are_short_and_tell_networks_apart_only_where_they_must() -> None:
    names = list(tables())
    assert {"attribute_change", "quality", "identity-recognizer_b", "controls"} <= set(names)
    assert not [name for name in names if "l2l-2022" in name or " " in name]


@pytest.mark.parametrize("name", ["attribute_change", "quality", "rates-preservation_area"])
def test_a_table_is_printed_in_full(name: str) -> None:
    grid = named_tables.find_table(tables(), name)
    assert isinstance(grid, Grid) and grid.rows
    shown = printed(name)
    for row in grid.rows:
        for cell in row.cells:
            assert cell is None or number(cell.value, row.decimals) in shown
    assert all(method in shown for method in grid.methods)


def test_a_table_of_texts_is_printed_in_full() -> None:
    table = named_tables.find_table(tables(), "controls")
    assert isinstance(table, TextTable) and table.rows
    words = printed("controls").split()
    assert {word for row in table.rows for text in row for word in text.split()} <= set(words)


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(UnknownNameError) as raised:
        named_tables.find_table(tables(), "attribute_chang")
    assert raised.value.name == "attribute_chang"
    assert raised.value.brief == "No table named 'attribute_chang'. Did you mean 'attribute_change'?"


def test_the_list_has_a_line_for_each_table() -> None:
    text = io.StringIO()
    named_tables.list_tables(tables(), Console(file=text, width=80))
    lines = text.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == list(tables())
    assert max(map(len, lines)) <= 80 and all(len(line.split()) > 1 for line in lines)
