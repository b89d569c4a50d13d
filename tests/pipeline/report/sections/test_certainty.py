"""The page's section on certainty, from a run whose tables were computed by the code that publishes them."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.report import grids, page
from pipeline.report.charts import library
from pipeline.report.contents import Contents, contents_of
from pipeline.report.sections import certainty, paper
from tests.builders import random_run
from tests.checks.html_page import read


@pytest.fixture(scope="module")
def contents() -> Contents:
    return contents_of(random_run.whole())


def test_the_page_has_it_and_a_run_without_the_tables_still_has_a_page(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "library", str)  # it takes seconds to bundle
    html = page.render(contents)
    reader = read(html)
    assert {"certainty", "table-controls", "table-ranks", "differences", "judges"} <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))
    assert "The judge&#39;s own error" in html and "not measured" in html
    older = page.render(contents_of(random_run.tables()))
    assert {"table-ranks", "differences", "judges"}.isdisjoint(read(older).ids)


def test_ranks_stand_in_the_order_of_the_methods(contents: Contents) -> None:
    found = {(one.title, one.network): one for one in certainty.standings(contents)}
    lpips = found["LPIPS", "perception-lpips-without-heads"]
    means = contents.edits.groupby("method")["lpips"].mean()
    better = {name: int((means[["interfacegan", "l2l"]] < means[name]).sum()) + 1 for name in contents.methods}
    assert [place.rank for place in lpips.places if place] == [better[name] for name in contents.methods]
    assert lpips.arrow == "↓" and found["attribute change", "scorer_b"].arrow == "↑"


def test_differences_are_of_competitors_and_tell_what_a_judge_cannot(contents: Contents) -> None:
    lines = certainty.difference_lines(contents)
    assert {(line["method"], line["other"]) for line in lines} == {("interfacegan", "l2l")}
    true = next(line for line in lines if line["metric"] == "true identity distance")
    assert true["within_error"] == (abs(true["difference"]) < 0.3)
    assert certainty.counted(contents) == f"{sum(line['significant'] for line in lines)} of {len(lines)}"


def test_six_faces_are_said_to_be_too_few(contents: Contents) -> None:
    assert "With 6 faces no p value is below 2^(1 - 6) = 0.031" in certainty.few(contents.differences)
    assert certainty.few(contents.differences.iloc[:0]) == ""


def test_marks_follow_the_tests_and_where_there_is_none_the_intervals(contents: Contents) -> None:
    rows = contents.scores[
        (contents.scores["metric"] == "identity_distance") & (contents.scores["network"] == "mtcnn-onet256")
    ]
    grid = grids.attribute_grid(contents, rows, "key", "title")
    marked = [(cell.best, cell.close) for cell in grid.rows[0].cells[:2] if cell]
    assert sorted(marked) == [(False, True), (True, False)], "six faces tell nothing apart, wherever the intervals lie"
    sure = contents.differences.assign(significant=True)
    apart = Contents(contents.run, contents.scores, contents.ranges, contents.edits, differences=sure)
    assert not any(cell.close for row in grids.attribute_grid(apart, rows, "k", "t").rows for cell in row.cells if cell)


def test_every_judge_s_line_stands_under_its_tables(contents: Contents) -> None:
    tables = paper.identity_grids(contents)
    by_network = {grid.network: grid.judge for grid in tables}
    assert by_network["mtcnn-onet256"] == "The judge's own error was not measured."
    assert "AUC of 0.960" in by_network["recognizer_b"]
    quality = paper.quality_grid(contents)
    assert quality is not None and quality.judge


def test_a_flag_is_carried(contents: Contents) -> None:
    flags = {place.flag for one in certainty.standings(contents) for place in one.places if place}
    assert any("fewer than 10 faces" in flag for flag in flags)
    assert isinstance(contents.ranks, pd.DataFrame)
