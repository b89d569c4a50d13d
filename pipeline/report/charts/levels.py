"""Scores at matched change, over the level of the change."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.metrics.base import ALL, MATCHED
from pipeline.report.charts.chart import Chart, specification
from pipeline.report.charts.marks import colour_of, dash_of, hidden, not_hidden, shape_of
from pipeline.report.charts.ranking import title_lines, titles
from pipeline.report.contents import Contents

TABLE = "levels"
DESCRIBED = (
    "Line chart, one panel per score and one line per method: the score with its interval over the level of the "
    "change, in standard deviations of scorer A's logit."
)
CAPTION = (
    "Every method is compared where its edits have moved the attribute equally far. Points: scores with their interval "
    "over faces; the arrow says which way is better. A method is missing at a level that it did not reach on any face."
)


def level_rows(contents: Contents, metrics: Sequence[str]) -> pd.DataFrame:
    """A row for each (score, attribute, method, level) of these metrics; attribute ALL first."""
    scores = contents.scores
    chosen = scores[(scores["protocol"] == MATCHED) & scores["metric"].isin(metrics)].dropna(subset=["value", "level"])
    places = {metric: place for place, metric in enumerate(metrics)}
    chosen = chosen.assign(score=titles(contents, chosen), place=chosen["metric"].map(places))
    chosen = chosen.assign(other=chosen["attribute"] != ALL).sort_values(["other", "place"], kind="stable")
    return chosen[["score", "attribute", "method", "level", "value", "ci_low", "ci_high"]].reset_index(drop=True)


def level_chart(contents: Contents, metrics: Sequence[str]) -> Chart | None:
    """Scores over levels, of all attributes or of one that the reader chooses; None for a run without any."""
    import altair as alt

    rows = level_rows(contents, metrics)
    if rows.empty:
        return None
    names, attributes = list(dict.fromkeys(rows["score"])), list(dict.fromkeys(rows["attribute"]))
    chosen = alt.binding_select(options=attributes, name="attribute ")
    attribute = alt.param(name="attribute", value=attributes[0], bind=chosen)
    intervals = alt.param(name="intervals", value=True, bind=alt.binding_checkbox(name="intervals "))
    across = alt.X("level:Q", title="level of the change", axis=alt.Axis(values=sorted(set(rows["level"]))))
    base = alt.Chart().encode(x=across, color=colour_of(contents))
    tips = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{name}:Q", format=".4g") for name in rows.columns[3:])]
    drawing = (
        alt.layer(
            base.mark_rule(aria=False, opacity=0.3)
            .transform_filter("intervals")
            .encode(y=alt.Y("ci_low:Q", title=None), y2="ci_high:Q"),
            base.mark_line(aria=False, strokeWidth=1.5).encode(y="value:Q", strokeDash=dash_of(contents)),
            base.mark_point(aria=False, filled=True, size=40, opacity=1).encode(
                y=alt.Y("value:Q", title=None), shape=shape_of(contents), tooltip=tips
            ),
            data=alt.NamedData(name=TABLE),
        )
        .properties(height=190)
        .transform_filter("datum.attribute === attribute")
        .transform_filter(not_hidden())
        .facet(alt.Facet("score:N", sort=names, title=None, header=title_lines()), columns=3)
        .resolve_scale(y="independent")
        .add_params(attribute, intervals, hidden())
    )
    spec = specification(drawing, DESCRIBED)
    return Chart(
        "levels", "Scores by level of change", CAPTION, DESCRIBED, spec, {TABLE: rows}, panel=200, panels=len(names)
    )
