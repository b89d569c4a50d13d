"""Identity against attribute change: what every method pays for the change that it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.metrics.base import ALL, PAPER
from pipeline.report.charts.chart import Chart, specification
from pipeline.report.charts.marks import colour_of, hidden, not_hidden, shape_of
from pipeline.report.contents import Contents
from pipeline.report.grids import CHANGE, IDENTITY, short

if TYPE_CHECKING:
    import altair as alt

TABLE = "trade"
ENDS = ("value", "ci_low", "ci_high")
MEASURED = ("change", "change_low", "change_high", "identity", "identity_low", "identity_high")
ACROSS = "size of the attribute's change, by scorer B"
UP = "identity distance"
DESCRIBED = (
    "Scatter plot, one panel per judge and one point per method: identity distance, lower is better, over the size of "
    "the attribute's change, with intervals of both. The same numbers stand in the table below the chart."
)
CAPTION = (
    "One point per method over its calibrated ranges, with the interval of both scores over faces. To the right: the "
    "attribute changed more; lower: the person stayed more the same. So a better method lies further to the right at "
    "the same height, and a method at the left edge kept the person because it hardly edited. Controls are grey."
)


def trade_rows(contents: Contents) -> pd.DataFrame:
    """A row for each (judge, attribute, method): change and identity with their intervals, by the paper's protocol.

    Scores of attribute change by scorer B; identity by every judge that no loss contains. Attribute ALL comes first.
    """
    scores = contents.scores[contents.scores["protocol"] == PAPER]
    change = scores[scores["metric"] == CHANGE].set_index(["attribute", "method"])[list(ENDS)].add_prefix("change_")
    identity = scores[(scores["metric"] == IDENTITY) & ~scores["network"].map(lambda name: _trains(contents, name))]
    rows = identity[["network", "attribute", "method", *ENDS]].rename(columns={end: f"identity_{end}" for end in ENDS})
    rows = rows.merge(change.reset_index(), on=["attribute", "method"])
    rows["network"] = [short(name, contents.run.domain) for name in rows["network"]]
    renamed = {f"{score}_ci_{end}": f"{score}_{end}" for score in ("identity", "change") for end in ("low", "high")}
    renamed |= {"network": "judge", "identity_value": "identity", "change_value": "change"}
    rows = rows.rename(columns=renamed)
    return rows.sort_values("attribute", key=lambda names: names != ALL, kind="stable").reset_index(drop=True)


def _trains(contents: Contents, network: str) -> bool:
    return contents.has_role(network, "recognizer_a")


def trade_chart(contents: Contents) -> Chart | None:
    """The chart, with a choice of the attribute; None for a run without both scores."""
    import altair as alt

    rows = trade_rows(contents)
    if rows.empty:
        return None
    judges = list(dict.fromkeys(rows["judge"]))
    attributes = list(dict.fromkeys(rows["attribute"]))
    chosen = alt.binding_select(options=attributes, name="attribute ")
    attribute = alt.param(name="attribute", value=attributes[0], bind=chosen)
    drawing = (
        alt.layer(*_layers(contents), data=alt.NamedData(name=TABLE))
        .properties(height=320)
        .transform_filter("datum.attribute == attribute")
        .transform_filter(not_hidden())
        .facet(alt.Facet("judge:N", title=None, sort=judges), columns=2)
        .resolve_scale(y="independent")
        .add_params(attribute, hidden())
    )
    return Chart(
        "trade",
        "By every judge, over calibrated ranges",
        CAPTION,
        DESCRIBED,
        specification(drawing, DESCRIBED),
        {TABLE: rows},
        panel=300,
        panels=len(judges),
    )


def _layers(contents: Contents) -> list[alt.Chart]:
    import altair as alt

    across = alt.X("change:Q", title=ACROSS, scale=alt.Scale(zero=True))
    up = alt.Y("identity:Q", title=UP, scale=alt.Scale(zero=True))
    tips = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{name}:Q", format=".4f") for name in MEASURED)]
    base = alt.Chart().encode(color=colour_of(contents))
    rule = base.mark_rule(aria=False, opacity=0.55)
    return [
        rule.encode(x=alt.X("change_low:Q", title=ACROSS), x2="change_high:Q", y=up),
        rule.encode(x=across, y=alt.Y("identity_low:Q", title=UP), y2="identity_high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(x=across, y=up, shape=shape_of(contents), tooltip=tips),
    ]
