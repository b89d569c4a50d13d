"""The page's section on matched change shows the scores of the run, at the level it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.attributes import EVALUATED
from pipeline.report import page
from pipeline.report.charts import library
from pipeline.report.contents import contents_of
from pipeline.report.matched_level import matched_scores
from pipeline.report.sections import matched
from pipeline.report.sections.further import further_tables
from pipeline.report.sections.paper import paper_tables
from tests.builders import random_run

CONTENTS = contents_of(random_run.tables())


def test_tables_by_attribute_are_of_level_one() -> None:
    grids = {grid.key: grid for grid in matched.matched_tables(CONTENTS) if not grid.folded}
    grid = grids["matched-attribute_dependency_mean-scorer_b"]
    assert [row.name for row in grid.rows] == [*EVALUATED, "mean"] and grid.protocol == "matched-change-1"
    scores = CONTENTS.scores.set_index(["protocol", "method", "metric", "attribute", "level"])["value"]
    for row, attribute in zip(grid.rows, (*EVALUATED, "all"), strict=True):
        for cell, method in zip(row.cells, grid.methods, strict=True):
            if method == "noop":
                assert cell is None, "it reached nothing"
                continue
            key = ("matched-change-1", method, "attribute_dependency_mean", attribute, 1.0)
            assert cell is not None and cell.value == scores[key]
            assert cell.flag == "fewer than 10 faces" and not cell.best, "few faces are flagged and never best"
    assert "unreached_share" in "".join(grids) and "matched-identity_distance-recognizer_b" in grids


def test_tables_by_level_have_every_level_once() -> None:
    grids = {grid.key: grid for grid in matched.matched_tables(CONTENTS) if not grid.folded}
    grid = grids["matched-levels-unreached_share-scorer_a"]
    assert [row.name for row in grid.rows] == ["0.5", "1", "1.5", "2"] and grid.corner == "level"
    noop = [row.cells[grid.methods.index("noop")] for row in grid.rows]
    assert [cell.value for cell in noop if cell is not None] == [1.0] * 4


def test_every_score_of_the_level_and_every_one_over_all_stands_in_a_table() -> None:
    grids = matched.matched_tables(CONTENTS)
    first, others = ([grid for grid in grids if grid.folded == folded] for folded in (False, True))
    cells = sum(cell is not None for grid in [*first, *others] for row in grid.rows for cell in row.cells)
    scores = matched_scores(CONTENTS)
    assert cells == (scores["level"] == 1.0).sum() + (scores["attribute"] == "all").sum()
    assert first[0].title == "Attribute dependency mean at a change of 1"
    assert "attribute_dependency_max" in "".join(grid.key for grid in others)
    assert len({grid.key for grid in [*first, *others]}) == len(first) + len(others)


def test_the_other_tables_keep_to_the_paper_s_protocol() -> None:
    for grid in [*paper_tables(CONTENTS), *further_tables(CONTENTS)]:
        assert grid.protocol == "l2l-2022"


def test_a_run_without_it_has_no_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "library", str)  # it takes seconds to bundle
    assert 'id="matched"' in page.render(CONTENTS)
    old = replace(
        CONTENTS,
        scores=CONTENTS.scores[CONTENTS.scores["protocol"] == "l2l-2022"],
        rescoring=CONTENTS.rescoring.iloc[:0],
    )
    assert 'id="matched"' not in page.render(old)
