"""A run as Markdown: every table whole, every number as on the page."""

from __future__ import annotations

import re

import pytest

from pipeline.report.contents import Contents, contents_of
from pipeline.report.grids import number
from pipeline.report.markdown import markdown
from pipeline.report.sections.paper import identity_grids
from tests.builders import random_run


@pytest.fixture(scope="module")
def contents() -> Contents:
    return contents_of(random_run.whole())


def tables(text: str) -> list[list[list[str]]]:
    """Every table's rows of cells."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()] for block in blocks
    ]


def test_tables_are_whole(contents: Contents) -> None:
    found = tables(markdown(contents))
    assert len(found) > 8
    for rows in found:
        assert len({len(row) for row in rows}) == 1 and set(rows[1]) == {"---"}


def test_scores_are_those_of_the_grids(contents: Contents) -> None:
    grid = identity_grids(contents)[0]
    part = markdown(contents).partition(grid.title)[2]
    rows = next(rows for rows in tables(part) if rows[0][0] == "method")
    assert grid.methods and grid.rows
    for place, method in enumerate(grid.methods):
        shown = rows[2 + place]
        assert shown[0].strip("*") == method and (shown[0] != method) == (method in grid.controls)
        for cell, row in zip(shown[1:], grid.rows, strict=True):
            expected = row.cells[place]
            assert expected is not None and number(expected.value, row.decimals) in cell.replace("*", "")
            assert ("[" in cell) == row.mean, "intervals stand under means alone"


def test_it_says_that_the_run_is_smaller_and_what_controls_found(contents: Contents) -> None:
    text = markdown(contents)
    assert contents.run.warning and contents.run.warning in text
    assert "## Controls" in text and "## Ranks by protocol" in text and "noop" in text
