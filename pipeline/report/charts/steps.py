"""The edits along their calibrated ranges: identity against change, faces still found, where the ranges end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.report.charts.chart import Chart, specification
from pipeline.report.charts.marks import colour_of, dash_of, hidden, margin_of, not_hidden
from pipeline.report.contents import Contents
from pipeline.report.edit_means import range_ends, step_means

if TYPE_CHECKING:
    import altair as alt

TABLE, ENDS = "steps", "range_ends"
JUDGES = {"identity_recognizer_b": "recognizer B (in no loss)", "identity_mtcnn": "MTCNN's features (the paper's)"}
PANEL = 190  # the least width of one attribute's panel, in pixels
CURVES = (
    "Line chart, one panel per attribute and one line per method: mean identity distance, lower is better, over the "
    "attribute's mean change, both along the steps of the calibrated range."
)
CURVES_CAPTION = (
    "One point per step, the mean over its faces; the line runs from the low end of the range over the unedited face "
    "(0, 0) to its high end. The wider a curve opens at the same height, the more the attribute changed for the same "
    "loss of identity. Images without a found face are left out, as in the tables."
)
FOUND = "Line chart, one panel per attribute and one line per method: share of faces found over the steps of the range."
FOUND_CAPTION = (
    "The calibrated range ends where the detector begins to lose faces, or at the cap on displacement; inside it "
    "nearly all must be found."
)
RANGES = "Bars, one panel per attribute and one row per method: displacement of w at the low and the high end."
RANGES_CAPTION = (
    "How far each method may go, as the displacement of w in mean distances of two random w: to the left towards the "
    "low end, to the right towards the high end; and what set each end: the detector, the cap on displacement, a "
    "plateau (stronger edits move the code no further), or no effect at all."
)


def step_rows(contents: Contents) -> pd.DataFrame:
    """A row for each (method, attribute, step): the means over its faces."""
    return step_means(contents.edits, list(JUDGES))


def step_charts(contents: Contents) -> list[Chart]:
    """Identity curves, faces found and ends of ranges; empty for a run without edits."""
    if contents.edits.empty:
        return []
    rows = step_rows(contents)
    return [curves_chart(contents, rows), found_chart(contents, rows), ranges_chart(contents)]


def curves_chart(contents: Contents, rows: pd.DataFrame) -> Chart:
    """Identity distance over the signed change of the attribute, by a judge that the reader chooses."""
    import altair as alt

    judges = list(JUDGES.values())
    judge = alt.param(name="judge", value=judges[0], bind=alt.binding_select(options=judges, name="judge "))
    first, second = JUDGES
    drawing = (
        _lines(
            contents,
            alt.X("change:Q", title="change, by scorer B"),
            alt.Y("identity:Q", title="identity distance", scale=alt.Scale(zero=True)),
            ["strength", "change", "identity"],
        )
        .transform_calculate(identity=f"judge === '{judges[0]}' ? datum.{first} : datum.{second}")
        .transform_filter(not_hidden())
        .facet(attribute_panels(contents), columns=4)
        .add_params(judge, hidden())
    )
    return _chart(contents, "curves", "Along the ranges, attribute by attribute", CURVES_CAPTION, CURVES, drawing, rows)


def found_chart(contents: Contents, rows: pd.DataFrame) -> Chart:
    """The share of faces that the detector still finds at each step."""
    import altair as alt

    lowest = min(0.8, float(rows["detected"].min()) - 0.02)
    drawing = (
        _lines(
            contents,
            alt.X("step:Q", title="step"),
            alt.Y("detected:Q", title="faces found", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[lowest, 1])),
            ["strength", "displacement", "detected"],
        )
        .transform_filter(not_hidden())
        .facet(attribute_panels(contents), columns=4)
        .add_params(hidden())
    )
    return _chart(contents, "found", "Faces still found along the ranges", FOUND_CAPTION, FOUND, drawing, rows)


def ranges_chart(contents: Contents) -> Chart:
    """Displacement of w at both ends of every range, and what set them."""
    import altair as alt

    ends = range_ends(contents)
    names = ["method", "attribute", "low", "high", "unit", "low_set_by", "high_set_by", "low_moved", "high_moved"]
    rows = ends[ends["method"].isin(contents.methods)][names]
    rows = rows.assign(low_moved=-rows["low_moved"])
    up = alt.Y("method:N", sort=contents.methods, title=None)
    across = "displacement of w"
    base = alt.Chart().encode(y=up, color=colour_of(contents))
    tips = [alt.Tooltip(f"{name}:N") for name in ("method", "low_set_by", "high_set_by", "unit")]
    tips += [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("low", "high", "low_moved", "high_moved")]
    set_by = alt.Legend(orient="top", title="end set by", symbolFillColor="transparent", columns=2)
    layers = [
        base.mark_rule(aria=False, strokeWidth=2).encode(
            x=alt.X("low_moved:Q", title=across, axis=alt.Axis(labelExpr="replace(datum.label, '−', '')")),
            x2="high_moved:Q",
            tooltip=tips,
        ),
        *(
            base.mark_point(aria=False, filled=False, size=45, strokeWidth=1.6).encode(
                x=alt.X(f"{end}_moved:Q", title=across), shape=alt.Shape(f"{end}_set_by:N", legend=set_by), tooltip=tips
            )
            for end in ("low", "high")
        ),
    ]
    drawing = (
        alt.layer(*layers, data=alt.NamedData(name=ENDS))
        .properties(height=alt.Step(13))
        .transform_filter(not_hidden())
        .facet(attribute_panels(contents), columns=4)
        .add_params(hidden())
    )
    return Chart(
        "ranges",
        "Calibrated ranges",
        RANGES_CAPTION,
        RANGES,
        specification(drawing, RANGES),
        {ENDS: rows},
        panel=150,
        panels=len(contents.attributes),
        margin=margin_of(contents.methods),
    )


def attribute_panels(contents: Contents) -> alt.Facet:
    """One panel per attribute, in the order of the tables."""
    import altair as alt

    return alt.Facet("attribute:N", sort=contents.attributes, title=None)


def _lines(contents: Contents, across: alt.X, up: alt.Y, shown: list[str]) -> alt.LayerChart:
    import altair as alt

    base = alt.Chart().encode(x=across, y=up, color=colour_of(contents))
    tips = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{name}:Q", format=".4f") for name in shown)]
    line = base.mark_line(aria=False, strokeWidth=1.5).encode(strokeDash=dash_of(contents), order="step:Q")
    points = base.mark_point(aria=False, filled=True, size=16, opacity=1).encode(tooltip=tips)
    return alt.LayerChart(layer=[line, points], data=alt.NamedData(name=TABLE)).properties(height=170)


def _chart(
    contents: Contents, key: str, title: str, caption: str, described: str, drawing: alt.FacetChart, rows: pd.DataFrame
) -> Chart:
    spec, panels = specification(drawing, described), len(contents.attributes)
    return Chart(key, title, caption, described, spec, {TABLE: rows}, panel=PANEL, panels=panels)
