"""Rankings: ranks with their intervals where the tables have them, else scores with theirs; one panel per score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.metrics.base import ALL
from pipeline.report.charts.chart import Chart, specification
from pipeline.report.charts.marks import colour_of, hidden, margin_of, not_hidden, shape_of
from pipeline.report.contents import Contents
from pipeline.report.grids import ARROWS, label, short

if TYPE_CHECKING:
    import altair as alt

RANKS = (
    "Dot plot, one panel per score and one row per method: the rank, 1 the best, with its interval. The same numbers "
    "stand in the table below the chart."
)
RANKS_CAPTION = (
    "Point: the rank over all attributes. Line: its interval when faces are resampled, the same for all methods. Pale "
    "bar: the ranks that the tests leave, which hold for all methods of a panel at once. Controls do not compete: "
    "theirs is the rank that each would take if it alone joined."
)
SCORES = (
    "Dot plot, one panel per score and one row per method: the score over all attributes with its interval. The same "
    "numbers stand in the table below the chart."
)
SCORES_CAPTION = (
    "Scores over all attributes with their intervals over faces; the arrow says which way is better. What is "
    "said against a score shows with its point."
)


def titles(contents: Contents, scores: pd.DataFrame) -> pd.Series:
    """What a panel of each row is called: the metric and which way is better; its judge, where several judged it."""
    judges = scores.groupby("metric")["network"].transform("nunique")
    better = contents.scores.drop_duplicates("metric").set_index("metric")["better"]
    heads = [f"{label(metric)} {ARROWS.get(better.get(metric), '')}".strip() for metric in scores["metric"]]
    named = [f"\nby {short(network, contents.run.domain)}" for network in scores["network"]]
    texts = [head + (name if many > 1 else "") for head, name, many in zip(heads, named, judges, strict=True)]
    return pd.Series(texts, index=scores.index, dtype=object)


def title_lines() -> alt.Header:
    """The head of a panel whose title has several lines."""
    import altair as alt

    return alt.Header(labelExpr="split(datum.label, '\\n')")


def rank_chart(contents: Contents, protocol: str) -> Chart | None:
    """Ranks by every metric of a protocol over all attributes; None for a run without ranks."""
    import altair as alt

    ranks = contents.ranks
    chosen = ranks[(ranks["protocol"] == protocol) & (ranks["attribute"] == ALL)].dropna(subset=["rank"])
    if chosen.empty:
        return None
    rows = chosen.assign(score=titles(contents, chosen))
    rows = rows[["score", "method", "rank", "rank_low", "rank_high", "tested_low", "tested_high", "first", "n_faces"]]
    names = list(dict.fromkeys(rows["score"]))
    last = int(rows[["rank", "rank_high", "tested_high"]].max().max())
    across = alt.Scale(domain=[0.5, last + 0.5], nice=False)
    base = alt.Chart().encode(y=_up(contents, rows), color=colour_of(contents))
    tips = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{name}:Q") for name in rows.columns[2:7])]
    tips.append(alt.Tooltip("first:Q", format=".0%", title="first in"))
    layers = [
        base.mark_bar(aria=False, opacity=0.18, height=9).encode(
            x=alt.X("tested_low:Q", title="rank", scale=across, axis=alt.Axis(tickMinStep=1)), x2="tested_high:Q"
        ),
        base.mark_rule(aria=False, strokeWidth=1.8).encode(x=alt.X("rank_low:Q", scale=across), x2="rank_high:Q"),
        base.mark_point(aria=False, filled=True, size=55, opacity=1).encode(
            x=alt.X("rank:Q", scale=across), shape=shape_of(contents), tooltip=tips
        ),
    ]
    drawing = _panels(contents, alt.LayerChart(layer=layers, data=alt.NamedData(name=f"ranks-{protocol}")), names)
    return Chart(
        f"ranks-{protocol}",
        "Ranks",
        RANKS_CAPTION,
        RANKS,
        specification(drawing, RANKS),
        {f"ranks-{protocol}": rows},
        panel=150,
        panels=len(names),
        margin=margin_of(contents.methods),
    )


def score_chart(contents: Contents, scores: pd.DataFrame, metrics: Sequence[str], key: str, title: str) -> Chart | None:
    """The scores of these metrics over all attributes, one panel each; None if `scores` has none of them."""
    import altair as alt

    chosen = scores[(scores["attribute"] == ALL) & scores["metric"].isin(metrics)]
    chosen = chosen.dropna(subset=["value"])
    if chosen.empty:
        return None
    places = {metric: place for place, metric in enumerate(metrics)}
    chosen = chosen.sort_values("metric", key=lambda names: names.map(places), kind="stable")
    rows = chosen.assign(score=titles(contents, chosen), flag=chosen["flag"].fillna(""))
    rows = rows[["score", "method", "value", "ci_low", "ci_high", "n_faces", "flag"]].reset_index(drop=True)
    names = list(dict.fromkeys(rows["score"]))
    base = alt.Chart().encode(y=_up(contents, rows), color=colour_of(contents))
    tips = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{name}:Q", format=".4g") for name in rows.columns[2:5])]
    tips += [alt.Tooltip("n_faces:Q", title="faces"), alt.Tooltip("flag:N")]
    layers = [
        base.mark_rule(aria=False, strokeWidth=1.8).encode(x=alt.X("ci_low:Q", title=None), x2="ci_high:Q"),
        base.mark_point(aria=False, filled=True, size=55, opacity=1).encode(
            x=alt.X("value:Q", title=None, scale=alt.Scale(zero=False)), shape=shape_of(contents), tooltip=tips
        ),
    ]
    drawing = _panels(contents, alt.LayerChart(layer=layers, data=alt.NamedData(name=key)), names)
    return Chart(
        key,
        title,
        SCORES_CAPTION,
        SCORES,
        specification(drawing.resolve_scale(x="independent"), SCORES),
        {key: rows},
        panel=150,
        panels=len(names),
        margin=margin_of(contents.methods),
    )


def _up(contents: Contents, rows: pd.DataFrame) -> alt.Y:
    """Methods down: as the first score orders them, controls last."""
    import altair as alt

    first = rows[rows["score"] == rows["score"].iloc[0]]
    value = first["rank"] if "rank" in first else first["value"] * (-1 if "↑" in first["score"].iloc[0] else 1)
    order = list(first.assign(value=value).sort_values("value", kind="stable")["method"])
    order += [name for name in contents.methods if name not in order]
    order.sort(key=lambda name: name in contents.controls)
    return alt.Y("method:N", sort=order, title=None)


def _panels(contents: Contents, layers: alt.LayerChart, names: list[str]) -> alt.FacetChart:
    import altair as alt

    return (
        layers.properties(height=alt.Step(15))
        .transform_filter(not_hidden())
        .facet(alt.Facet("score:N", sort=names, title=None, header=title_lines()), columns=4)
        .add_params(hidden())
    )
