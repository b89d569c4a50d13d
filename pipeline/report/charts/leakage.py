"""Leakage: what each method's edits change besides the attribute that was asked for, one small map per method."""

from __future__ import annotations

import pandas as pd

from pipeline.attributes import NAMES
from pipeline.report.charts.chart import Chart, specification
from pipeline.report.charts.marks import hidden, margin_of, not_hidden
from pipeline.report.contents import Contents
from pipeline.report.judges import attributes_left_out

TABLE = "leakage"
CELL_WIDTH, CELL_HEIGHT = 12, 10  # pixels
DESCRIBED = (
    "Heat maps side by side, one per method: columns are the edited attributes, rows are all attributes that scorer B "
    "sees, colour is the signed change. The same numbers stand in the table below the chart."
)
CAPTION = (
    "Columns: the edited attribute, raised by {level:g} standard deviations of scorer A's logit; rows: what scorer B "
    "sees of all {count}. A perfect edit colours the framed cell alone. Edits that lower the attribute count the other "
    "way round. One scale for all maps, cut at ±{end:g}. Grey: no face reached the change, or the attribute is left "
    "out; a method without a map reached it on no face. {left_out} The numbers with intervals, for every level and "
    "either direction, are in rescoring.parquet."
)


def leakage_rows(contents: Contents, level: float) -> pd.DataFrame:
    """A row for each (method, edited, seen) attribute: the signed change for a rise, a fall the other way round."""
    rows = contents.rescoring[contents.rescoring["level"] == level].dropna(subset=["change"])
    risen = rows.assign(change=rows["direction"] * rows["change"].astype(float))
    means = risen.groupby(["method", "attribute", "scored_attribute"], sort=False)["change"].mean().reset_index()
    return means.rename(columns={"attribute": "edited", "scored_attribute": "seen"})


def leakage_chart(contents: Contents, level: float) -> Chart | None:
    """The maps at one level of matched change; None for a run without any."""
    import altair as alt

    rows = leakage_rows(contents, level)
    if rows.empty:
        return None
    end = 1.5 * level
    methods = [name for name in contents.methods if (rows["method"] == name).any()]
    colour = alt.Color(
        "change:Q",
        title="signed change, standard deviations",
        scale=alt.Scale(domain=[-end, end], domainMid=0, range="diverging", interpolate="rgb", clamp=True),
        legend=alt.Legend(orient="top", direction="horizontal", gradientLength=220, titleLimit=400),
    )
    base = alt.Chart().encode(
        x=alt.X("edited:N", sort=contents.attributes, title=None, axis=alt.Axis(labelAngle=-90, grid=False)),
        y=alt.Y("seen:N", sort=list(NAMES), title=None, axis=alt.Axis(labelFontSize=10, grid=False)),
    )
    tips = ["method:N", "edited:N", "seen:N", alt.Tooltip("change:Q", format="+.3f")]
    layers = [
        base.mark_rect(aria=False).encode(color=colour, tooltip=tips),
        base.mark_rect(aria=False, filled=False, strokeWidth=1.2).transform_filter("datum.edited === datum.seen"),
    ]
    drawing = (
        alt.layer(*layers, data=alt.NamedData(name=TABLE))
        .properties(height=alt.Step(CELL_HEIGHT), view=alt.ViewBackground(style="blank"))
        .transform_filter(not_hidden())
        .facet(
            alt.Facet("method:N", sort=methods, title=None, header=alt.Header(labelExpr="split(datum.label, '_')")),
            columns=4,
        )
        .add_params(hidden())
    )
    return Chart(
        "leakage",
        "Leakage at matched change",
        CAPTION.format(level=level, count=len(NAMES), end=end, left_out=attributes_left_out(contents.judges)),
        DESCRIBED,
        specification(drawing, DESCRIBED),
        {TABLE: rows},
        panel=CELL_WIDTH * len(contents.attributes),
        panels=len(methods),
        margin=margin_of(NAMES, 6.2),
    )
