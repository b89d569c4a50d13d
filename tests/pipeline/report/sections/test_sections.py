"""Sections are found by themselves, and tables are chosen by what they are, not by what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.report import page, sections
from pipeline.report.charts import library
from pipeline.report.contents import Contents, contents_of
from pipeline.report.grids import Grid
from pipeline.report.markdown import markdown
from pipeline.tables.schemas import SCORES
from tests.builders import random_run, random_scores
from tests.pipeline.report.test_page import read

NEW_SECTION = """
from pipeline.report.grids import attribute_grid
from pipeline.report.sections import PageSection

SECTION = PageSection(
    key="new",
    title="A new protocol",
    order=65,
    protocol="new-1",
    tables=lambda contents: [
        attribute_grid(contents, contents.scores[contents.scores["protocol"] == "new-1"], "new-table", "New")
    ],
)
"""


@pytest.fixture(autouse=True)
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "library", str)  # it takes seconds to bundle


@pytest.fixture(scope="module")
def contents() -> Contents:
    return contents_of(random_run.whole())


@pytest.fixture
def new_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file in a folder of sections."""
    (tmp_path / "new_section.py").write_text(NEW_SECTION)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    yield
    import sys

    sys.modules.pop("pipeline.report.sections.new_section", None)


def test_sections_stand_in_their_order_under_keys_of_their_own() -> None:
    found = sections.sections()
    assert len(found) == 23 and [section.order for section in found] == sorted({section.order for section in found})
    assert len({section.key for section in found}) == len(found)


def test_the_verdict_comes_first_the_pictures_next_and_the_data_last() -> None:
    keys = [section.key for section in sections.sections()]
    asked = ["verdict", "viewer", "matched", "rates", "consistency", "tables", "claims", "certainty", "run", "query"]
    assert keys[:2] == asked[:2] and keys[-1] == asked[-1]
    assert [key for key in keys if key in asked] == asked


def test_every_protocol_of_a_section_is_one_that_metrics_score() -> None:
    shown = {section.protocol for section in sections.sections()} - {""}
    assert shown == {"matched-change-1", "rates-1", "consistency-1"}


def test_a_new_file_is_a_section_of_page_and_markdown(new_section: None) -> None:
    row = random_scores.score("l2l", "age", "leakage", 0.25, protocol="new-1", network="scorer_b")
    run = {"run_id": "20261120T031500Z-1a2b3c4d", "run_date": random_scores.DATE}
    tables = random_run.tables()
    added = pa.Table.from_pylist([run | row], schema=SCORES)
    made = contents_of(tables | {"scores": pa.concat_tables([tables["scores"], added])})
    html = page.render(made)
    ids = read(html).ids
    assert "table-new-table" in ids and ids.index("consistency") < ids.index("new") < ids.index("certainty")
    assert ids.count("new") == 1 and '<a href="#new">A new protocol</a>' in html
    assert "## A new protocol\n" in markdown(made)
    assert "new-1-leakage-scorer_b" not in ids, "its scores are no further measures"


def chosen(contents: Contents) -> list[tuple[Any, ...]]:
    return [
        (section.key, grid.key, grid.folded, grid.markdown)
        for section in sections.sections()
        for grid in section.tables(contents)
    ]


def untitled(contents: Contents) -> str:
    """The numbers of the Markdown, by table and in their order."""
    return "\n".join(re.findall(r"^\|.*\|$", markdown(contents), re.MULTILINE))


def test_tables_are_chosen_and_ordered_whatever_their_titles(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, text = chosen(contents), untitled(contents)
    assert sum(shown for *_, shown in before) > 10 and text.count("\n") > 100
    made, numbers = Grid.__init__, count()

    def retitled(self: Grid, **fields: Any) -> None:
        made(self, **fields | {"title": f"Table {next(numbers)}", "corner": "row"})

    monkeypatch.setattr(Grid, "__init__", retitled)
    assert {grid.title[:6] for section in sections.sections() for grid in section.tables(contents)} == {"Table "}
    assert chosen(contents) == before
    assert untitled(contents) == text
