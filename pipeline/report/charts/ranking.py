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
from pipeline.report.leaderboard import ScoreColumn

if TYPE_CHECKING:
    import altair as alt

RANKS = (
    "Dot plot, one panel per score and one row per method: the rank, 1 the best, with its interval. The same numbers "
    "stand in the table below the chart."
)
RANKS_CAPTION = (
    "Point: the rank over all attributes. Line: its interval when faces are resampled, the same for all methods."
)
TESTED_CAPTION = (
    "Pale bar: the ranks that the tests leave, which hold for all methods of a panel at once. Controls do not compete: "
    "theirs is the rank that each would take if it alone joined."
)
REACHED_CAPTION = "A method that reached less than half of the changes takes no rank, and controls do not compete."
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
    ranks = contents.ranks
    chosen = ranks[(ranks["protocol"] == protocol) & (ranks["attribute"] == ALL)].dropna(subset=["rank"])
    if chosen.empty:
        return None
    rows = chosen.assign(score=titles(contents, chosen))
    names = ["score", "method", "rank", "rank_low", "rank_high", "tested_low", "tested_high", "first", "n_faces"]
    return _ranks(contents, rows[names], f"ranks-{protocol}", "Ranks", f"{RANKS_CAPTION} {TESTED_CAPTION}")


def standing_chart(contents: Contents, columns: Sequence[ScoreColumn], key: str, title: str) -> Chart | None:
    """The ranks of columns of the leaderboard; None without columns."""
    rows = [
        {
            "score": f"{label(column.row.metric)} {ARROWS.get(column.row.better, '')}"
            f"\nby {short(column.row.network, contents.run.domain)}",
            "method": method,
            "rank": standing.rank,
            "rank_low": standing.low,
            "rank_high": standing.high,
            "first": standing.first,
        }
        for column in columns
        for method, standing in zip(contents.methods, column.standings, strict=True)
        if standing is not None
    ]
    return _ranks(contents, pd.DataFrame(rows), key, title, f"{RANKS_CAPTION} {REACHED_CAPTION}") if rows else None


def _ranks(contents: Contents, rows: pd.DataFrame, key: str, title: str, caption: str) -> Chart:
    import altair as alt

    names = list(dict.fromkeys(rows["score"]))
    ends = [name for name in ("rank", "rank_high", "tested_high") if name in rows]
    across = alt.Scale(domain=[0.5, float(rows[ends].max().max()) + 0.5], nice=False)
    base = alt.Chart().encode(y=_up(contents, rows), color=colour_of(contents))
    shown = [name for name in rows if name.startswith(("rank", "tested"))]
    tips = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{name}:Q") for name in shown)]
    tips.append(alt.Tooltip("first:Q", format=".0%", title="first in"))
    whole = alt.Axis(tickMinStep=1)
    tested = base.mark_bar(aria=False, opacity=0.18, height=9).encode(
        x=alt.X("tested_low:Q", title="rank", scale=across, axis=whole), x2="tested_high:Q"
    )
    layers = [
        *([tested] if "tested_low" in rows else []),
        base.mark_rule(aria=False, strokeWidth=1.8).encode(
            x=alt.X("rank_low:Q", title="rank", scale=across, axis=whole), x2="rank_high:Q"
        ),
        base.mark_point(aria=False, filled=True, size=55, opacity=1).encode(
            x=alt.X("rank:Q", title="rank", scale=across), shape=shape_of(contents), tooltip=tips
        ),
    ]
    drawing = _panels(contents, alt.LayerChart(layer=layers, data=alt.NamedData(name=key)), names)
    spec, margin = specification(drawing, RANKS), margin_of(contents.methods)
    return Chart(key, title, caption, RANKS, spec, {key: rows}, panel=150, panels=len(names), margin=margin)


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
