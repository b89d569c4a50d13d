"""The chart of identity against change plots the scores of the run, and no judge that a loss contains."""

from __future__ import annotations

import pytest

from pipeline.report.charts.chart import in_page
from pipeline.report.charts.trade import TABLE, trade_chart, trade_rows
from pipeline.report.contents import contents_of
from pipeline.report.grids import short
from tests.builders import random_edits, random_run

CONTENTS = contents_of(random_run.whole())


def test_what_is_plotted_stands_in_the_scores() -> None:
    chart = trade_chart(CONTENTS)
    assert chart is not None
    columns = in_page([chart])["tables"][TABLE]
    plotted = {
        name: [column["texts"][at] for at in column["of"]] if isinstance(column, dict) else column
        for name, column in columns.items()
    }
    scores = CONTENTS.scores[CONTENTS.scores["protocol"] == "l2l-2022"]
    scores = scores.assign(network=[short(name, "synthface") for name in scores["network"]])
    known = scores.set_index(["metric", "network", "attribute", "method"])[["value", "ci_low", "ci_high"]].sort_index()
    change = scores[scores["metric"] == "attribute_change"].set_index(["attribute", "method"]).sort_index()
    assert len(plotted["method"]) == 2 * 9 * len(random_edits.METHODS)
    for row in range(len(plotted["method"])):
        at = {name: values[row] for name, values in plotted.items()}
        own = known.loc[("identity_distance", at["judge"], at["attribute"], at["method"])]
        assert [at["identity"], at["identity_low"], at["identity_high"]] == pytest.approx(own.tolist(), rel=1e-5)
        moved = change.loc[(at["attribute"], at["method"])]
        assert at["change"] == pytest.approx(moved["value"], rel=1e-5)


def test_it_begins_with_all_attributes_and_leaves_out_a_judge_of_a_loss() -> None:
    rows = trade_rows(CONTENTS)
    assert rows["attribute"].iloc[0] == "all"
    assert "recognizer_a" not in set(rows["judge"]) and len(set(rows["judge"])) == 2


def test_a_run_without_these_scores_has_no_such_chart() -> None:
    scores = CONTENTS.scores
    tables = random_run.whole()
    left = tables["scores"].filter((scores["metric"] != "attribute_change").tolist())
    assert trade_chart(contents_of(tables | {"scores": left})) is None
