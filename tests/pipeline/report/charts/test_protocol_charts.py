"""Every chart of a run plots numbers of its tables, and hides a method by one filter."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics.base import PAPER
from pipeline.metrics.curves import area, curve
from pipeline.report.charts.chart import Chart, data_names, in_page
from pipeline.report.charts.leakage import leakage_chart, leakage_rows
from pipeline.report.charts.levels import level_rows
from pipeline.report.charts.marks import not_hidden
from pipeline.report.charts.ranking import rank_chart, score_chart
from pipeline.report.charts.rate_curves import rate_rows
from pipeline.report.charts.steps import step_charts, step_rows
from pipeline.report.charts.training import BATCH, HELD_OUT, training_chart, training_rows
from pipeline.report.contents import Contents, contents_of
from pipeline.report.edit_means import attribute_change
from pipeline.report.sections import sections
from tests.builders import random_edits, random_run

CONTENTS = contents_of(random_run.whole())


def read_back(chart: Chart) -> pd.DataFrame:
    """The table of a chart with one, as a reader of the page gets it."""
    (columns,) = in_page([chart])["tables"].values()
    plain = {
        name: [column["texts"][at] for at in column["of"]] if isinstance(column, dict) else column
        for name, column in columns.items()
    }
    return pd.DataFrame(plain)


def charts_of(contents: Contents) -> list[Chart]:
    return [chart for section in sections() for chart in section.charts(contents)]


def test_all_charts_go_into_one_page_and_can_hide_a_method() -> None:
    charts = charts_of(CONTENTS)
    page = in_page(charts)
    kinds = {"trade", "curves", "found", "ranges", "leakage", "levels", "rates", "rates-scores", "consistency"}
    assert kinds | {f"ranks-{PAPER}"} <= set(page["charts"])
    for chart in charts:
        text = json.dumps(chart.spec)
        assert not_hidden() in text and '"hidden"' in text, chart.key
        assert data_names(chart.spec) == set(chart.tables), chart.key
        assert chart.described in text and "http" not in text


def test_a_run_of_scores_alone_has_no_charts_of_edits() -> None:
    tables = random_run.tables()
    bare = contents_of(tables | {name: tables[name].slice(0, 0) for name in ("edits", "ranges", "rescoring", "rates")})
    keys = {chart.key for chart in charts_of(bare)}
    assert "trade" in keys and not keys & {"curves", "found", "ranges", "leakage", "rates"}


def test_curves_along_the_ranges_are_means_of_the_edits() -> None:
    rows = read_back(step_charts(CONTENTS)[0]).set_index(["method", "attribute", "step"])
    edits = CONTENTS.edits.assign(change=attribute_change(CONTENTS.edits))
    edits = edits[edits["detected"]]
    assert len(rows) == len(random_edits.METHODS) * 8 * 5
    for at in (("l2l", "age", 0), ("interfacegan", "yaw", 3)):
        own = edits[(edits["method"] == at[0]) & (edits["attribute"] == at[1]) & (edits["step"] == at[2])]
        assert len(own)
        for name in ("identity_recognizer_b", "identity_mtcnn", "change"):
            assert rows.loc[at, name] == pytest.approx(own[name].mean(), rel=1e-5)


def test_ranks_are_those_of_the_table() -> None:
    chart = rank_chart(CONTENTS, PAPER)
    assert chart is not None
    rows = read_back(chart)
    ranks = CONTENTS.ranks
    known = ranks[(ranks["protocol"] == PAPER) & (ranks["attribute"] == "all")].dropna(subset=["rank"])
    assert len(rows) == len(known) > 10 and chart.panels == rows["score"].nunique()
    names = ["method", "rank", "rank_low", "rank_high", "tested_low", "tested_high"]
    assert sorted(map(tuple, rows[names].to_numpy().tolist())) == sorted(map(tuple, known[names].to_numpy().tolist()))
    assert any("identity distance ↓\nby recognizer_b" == score for score in rows["score"])


def test_scores_stand_with_their_intervals() -> None:
    scores = CONTENTS.scores[CONTENTS.scores["protocol"] == "rates-1"]
    chart = score_chart(CONTENTS, scores, ["acceptance_area"], "areas", "Areas")
    assert chart is not None
    rows = read_back(chart).set_index("method")
    known = scores[(scores["metric"] == "acceptance_area") & (scores["attribute"] == "all")].set_index("method")
    assert set(rows.index) == set(known.index)
    for name in ("value", "ci_low", "ci_high"):
        np.testing.assert_allclose(rows[name], known.loc[rows.index, name], rtol=1e-5)
    assert score_chart(CONTENTS, scores, ["no such metric"], "none", "None") is None


def test_a_level_shows_the_scores_at_that_level() -> None:
    rows = level_rows(CONTENTS, ["identity_distance", "unreached_share"])
    scores = CONTENTS.scores
    known = scores[
        (scores["protocol"] == "matched-change-1") & scores["metric"].isin(["identity_distance", "unreached_share"])
    ]
    assert len(rows) == known["value"].notna().sum() and rows["attribute"].iloc[0] == "all"
    assert sorted(rows["value"]) == sorted(known["value"].dropna())


def test_a_fall_counts_the_other_way_round() -> None:
    """The edited attribute moves by the level, the one after it by half, for a rise."""
    rows = leakage_rows(CONTENTS, 1.0)
    own = rows[rows["method"] == "l2l"].pivot_table(index="edited", columns="seen", values="change")
    assert own.shape == (8, 35)
    assert rows[(rows["method"] == "l2l") & (rows["edited"] == rows["seen"])]["change"].eq(1.0).all()
    assert sorted(own.to_numpy().ravel())[-16:] == [0.5] * 8 + [1.0] * 8
    assert "noop" not in set(rows["method"]), "it reached nothing"
    chart = leakage_chart(CONTENTS, 1.0)
    assert chart is not None and chart.panels == rows["method"].nunique()
    assert leakage_chart(replace(CONTENTS, rescoring=CONTENTS.rescoring.iloc[:0]), 1.0) is None


def test_the_area_under_a_plotted_rate_curve_is_the_score() -> None:
    rows = rate_rows(CONTENTS)
    images = CONTENTS.others["rates"].to_pandas()
    assert len(rows) > 50
    for (method, attribute), part in rows.groupby(["method", "attribute"]):
        own = images[(images["method"] == method) & (images["attribute"] == attribute)]
        means = (
            own[["strength_index", "flipped", "preserved", "accepted"]].astype(float).groupby("strength_index").mean()
        )
        assert part["flipped"].iloc[0] == 0 and part["flipped"].is_monotonic_increasing
        for name in ("preserved", "accepted"):
            x, y = curve(means["flipped"].to_numpy()[None], means[name].to_numpy()[None])
            plotted = np.trapezoid(part[name], part["flipped"])
            assert plotted == pytest.approx(area(x, y)[0], rel=1e-9), (method, attribute)


TRAININGS: dict[str, tuple[dict[str, Any], list[tuple[str, str, int, float]]]] = {
    "styleflow": (
        {"curve": {"steps": [1, 2], "losses": [8.0, 6.0]}},
        [("loss", BATCH, 1, 8.0), ("loss", BATCH, 2, 6.0)],
    ),
    "l2l": (
        {
            "curve": {"steps": [5], "names": ["attribute", "cycle"], "losses": [[1.0, 0.5]]},
            "held_out_curve": {"steps": [0], "names": ["total"], "losses": [[9.0]]},
        },
        [("attribute", BATCH, 5, 1.0), ("cycle", BATCH, 5, 0.5), ("total", HELD_OUT, 0, 9.0)],
    ),
    "llf": (
        {"training": {"curve": [[1, 0.25, 0.5]], "validations": [[2, 0.125, 0.125, 0.75, 0.0]]}},
        [
            ("loss", BATCH, 1, 0.25),
            ("accuracy", BATCH, 1, 0.5),
            ("loss", HELD_OUT, 2, 0.125),
            ("accuracy", HELD_OUT, 2, 0.75),
        ],
    ),
    "sefa": ({"boundaries": {}}, []),
}


def trained(method: str, facts: dict[str, Any]) -> Contents:
    stages = [{"stage": "train", "group": method, "learned": {"facts": facts, "seconds": 1.0}}]
    return replace(CONTENTS, run=replace(CONTENTS.run, stages=stages))


@pytest.mark.parametrize("method", TRAININGS)
def test_a_training_is_plotted_as_its_method_publishes_it(method: str) -> None:
    facts, expected = TRAININGS[method]
    rows = training_rows(trained(method, facts))
    assert list(rows[["loss", "of", "step", "value"]].itertuples(index=False, name=None)) == expected
    assert (training_chart(trained(method, facts)) is None) == (not expected)


def test_a_long_training_is_thinned_to_its_last_step() -> None:
    steps = list(range(1, 1001))
    rows = training_rows(trained("styleflow", {"curve": {"steps": steps, "losses": [float(step) for step in steps]}}))
    assert 300 < len(rows) <= 400 and (rows["step"] == rows["value"]).all() and rows["step"].max() == 1000


def test_steps_of_no_run_are_no_rows() -> None:
    assert len(step_rows(CONTENTS)) == len(random_edits.METHODS) * 8 * 5
    assert step_charts(replace(CONTENTS, edits=CONTENTS.edits.iloc[:0])) == []
