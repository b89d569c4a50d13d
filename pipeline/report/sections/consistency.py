"""Consistency: the scores of `consistency-1`, metrics x methods."""

from __future__ import annotations

from pipeline.metrics.base import CONSISTENCY
from pipeline.report.charts.chart import Chart
from pipeline.report.charts.ranking import score_chart
from pipeline.report.contents import Contents
from pipeline.report.grids import METRICS, Grid, decimals_for, grid_of, label, row_of
from pipeline.report.sections import PageSection

CARRIED = "What a method carries from edit to edit: {}. Values that it does not carry are read again by scorer A."


def consistency_table(contents: Contents) -> list[Grid]:
    """Metrics x methods; empty for a run without them."""
    scores = contents.scores[contents.scores["protocol"] == CONSISTENCY]
    if scores.empty:
        return []
    rows = []
    for metric, part in scores.groupby("metric", sort=False):
        rows.append(row_of(contents, part, label(str(metric)), decimals_for(part["value"].tolist())))
    title = "Consistency of edits"
    return [grid_of(contents, scores, "consistency", title, rows, METRICS, note=carried_note(contents))]


def carried_note(contents: Contents) -> str:
    """Which methods carry what from an edit to the next; empty where none does."""
    table = contents.others.get("consistency")
    rows = [] if table is None else table.select(["method", "carried"]).to_pylist()
    carried = {row["method"]: row["carried"] for row in rows if row["carried"]}
    return CARRIED.format(", ".join(f"{name} ({what})" for name, what in sorted(carried.items()))) if carried else ""


def consistency_charts(contents: Contents) -> list[Chart]:
    """Every score of the protocol with its interval; empty for a run without them."""
    scores = contents.scores[contents.scores["protocol"] == CONSISTENCY]
    metrics = list(dict.fromkeys(scores["metric"]))
    chart = score_chart(contents, scores, metrics, "consistency", "Scores with their intervals")
    return [] if chart is None else [chart]


SECTION = PageSection(
    key="consistency",
    title="Consistency",
    order=48,
    protocol=CONSISTENCY,
    lede="Three attributes of a face edited one after another in all six orders, all at once, and one edited and "
    "undone. 0 is perfect, and what an editor gets that does nothing: read every row together with how far the edits "
    "went.",
    tables=consistency_table,
    charts=consistency_charts,
)
