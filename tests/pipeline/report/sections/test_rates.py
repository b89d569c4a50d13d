"""The sections on rate curves and consistency: every score is shown, and what is not reached is no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.report import page
from pipeline.report.contents import contents_of
from pipeline.report.sections.consistency import consistency_table
from pipeline.report.sections.rates import rate_tables
from tests.builders import random_run

CONTENTS = contents_of(random_run.tables(), random_run.strips())


def test_curves_are_shown_by_attribute_and_by_rate() -> None:
    grids = {grid.key: grid for grid in rate_tables(CONTENTS)}
    area = grids["rates-preservation_area"]
    assert [row.name for row in area.rows] == [*CONTENTS.attributes, "mean"]
    read = grids["rates-preservation_rate"]
    assert [row.name for row in read.rows] == ["50%", "75%", "90%"]
    noop = CONTENTS.methods.index("noop")
    cells = [row.cells[noop] for row in read.rows]
    assert all(cell is not None and np.isnan(cell.value) and not cell.best for cell in cells)
    assert read.flags == ["the target-change rate is not reached"]
    assert area.protocol == "rates-1"


def test_consistency_has_a_row_for_every_metric() -> None:
    (grid,) = consistency_table(CONTENTS)
    assert len(grid.rows) == 3 and grid.corner == "metric" and grid.protocol == "consistency-1"
    assert "from edit to edit: l2l (values)." in grid.note
    (silent,) = consistency_table(replace(CONTENTS, others={}))
    assert silent.note == ""


def test_the_page_has_both_and_an_older_run_neither() -> None:
    html = page.render(CONTENTS)
    assert 'id="rates"' in html and 'id="consistency"' in html
    older = replace(CONTENTS, scores=CONTENTS.scores[CONTENTS.scores["protocol"] == "l2l-2022"], others={})
    html = page.render(older)
    assert 'id="rates"' not in html and 'id="consistency"' not in html
    assert rate_tables(older) == [] and consistency_table(older) == []
