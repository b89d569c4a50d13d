"""Matched change: tables of the scores of `matched-change-1`, in charts and tables, and what leaks.

Methods are set side by side where they have moved the edited attribute equally far; what the grid over calibrated
ranges cannot say. Tables by attribute are of the level next to 1; the others stand over all attributes, by level.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.metrics.base import MATCHED
from pipeline.report.charts.chart import Chart
from pipeline.report.charts.leakage import leakage_chart
from pipeline.report.charts.levels import level_chart
from pipeline.report.charts.ranking import standing_chart
from pipeline.report.contents import Contents
from pipeline.report.grids import (
    ALL,
    IDENTITY,
    Grid,
    attribute_grid,
    doubtful,
    level_grid,
    short,
    titled,
)
from pipeline.report.judges import attributes_left_out
from pipeline.report.leaderboard import leaderboard
from pipeline.report.matched_level import matched_scores, shown_level
from pipeline.report.sections import PageSection

BY_ATTRIBUTE = ("attribute_dependency_mean", "identity_distance", "true_identity_distance", "unreached_share")
BY_LEVEL = ("attribute_dependency_mean", "attribute_dependency_max", "attribute_change_reported", "unreached_share")
RANKED = (IDENTITY, "attribute_dependency_mean")  # the scores whose ranks are known at matched change
CHARTED = (
    "identity_distance",
    "attribute_dependency_mean",
    "true_identity_distance",
    "lpips",
    "attribute_change_reported",
    "unreached_share",
)
NOTES = {
    "attribute_dependency_mean": "Attribute dependency (StyleSpace): how far the other attributes move on average, "
    "by scorer B, in standard deviations of their logits, where the edited one has moved so far by scorer A. Edits "
    "that did not reach it are not in it.",
    "unreached_share": "Every other score is of the edits that reached the change, so read it with this share. Part "
    "of it is no method's fault: a face that has all of an attribute already cannot have more. matched.parquet says "
    "why, face by face.",
}


def matched_tables(contents: Contents) -> list[Grid]:
    """The tables that are read first, then all others, folded: a new metric appears among these by itself.

    Attributes x methods at one level for every metric and network, and levels x methods over all attributes.
    """
    scores, level = matched_scores(contents), shown_level(contents)
    grids = []
    for (metric, network), part in scores.groupby(["metric", "network"], sort=False):
        at_level, overall = part[part["level"] == level], part[part["attribute"] == ALL]
        judge = "" if _judges(scores, metric) == 1 else f", by {short(str(network), contents.run.domain)}"
        if len(at_level):
            title = f"{titled(metric)} at a change of {level:g}{judge}"
            more = {"folded": metric not in BY_ATTRIBUTE, "note": note(contents, str(metric))}
            grids.append(attribute_grid(contents, at_level, f"matched-{metric}-{network}", title, **more))
        if len(overall):
            title = f"{titled(metric)} over all attributes, by level of change{judge}"
            key = f"matched-levels-{metric}-{network}"
            grids.append(level_grid(contents, overall, key, title, folded=metric not in BY_LEVEL))
    first = [grid for grid in grids if not grid.folded]
    less_sure = doubtful([grid for grid in first if grid.metric == IDENTITY])
    last = [replace(grid, folded=True) for grid in first if grid in less_sure]
    shown = sorted((grid for grid in first if grid not in less_sure), key=_position)
    others = [grid for grid in grids if grid.folded]
    return [*shown, *(replace(grid, markdown=False) for grid in [*others, *last])]


def note(contents: Contents, metric: str) -> str:
    """The note of a metric's table; for attribute dependency also which attributes are left out."""
    own = attributes_left_out(contents.judges) if metric.startswith("attribute_dependency") else ""
    return " ".join(filter(None, [NOTES.get(metric, ""), own]))


def _position(grid: Grid) -> int:
    """Tables by attribute before those by level, in the order in which BY_ATTRIBUTE and BY_LEVEL name them."""
    if grid.by_attribute:
        return BY_ATTRIBUTE.index(grid.metric)
    return len(BY_ATTRIBUTE) + BY_LEVEL.index(grid.metric)


def _judges(scores: pd.DataFrame, metric: str) -> int:
    return int(scores[scores["metric"] == metric]["network"].nunique())


def matched_charts(contents: Contents) -> list[Chart]:
    """Ranks at the shown level, the scores over levels, and what leaks into other attributes at the shown level."""
    level, board = shown_level(contents), leaderboard(contents)
    if not np.isfinite(level) or board is None:
        return []
    ranked = [column for column in board.columns if column.standings and column.row.metric in RANKED]
    title = f"Ranks at a change of {level:g} σ"
    charts = [
        standing_chart(contents, ranked, "ranks-matched", title),
        level_chart(contents, CHARTED),
        leakage_chart(contents, level),
    ]
    return [chart for chart in charts if chart is not None]


SECTION = PageSection(
    key="matched",
    title="At matched change",
    order=40,
    protocol=MATCHED,
    lede="A method that hardly edits keeps everything else. Here every face is edited, up and down, until its "
    "attribute has moved equally far by scorer A, in standard deviations of the logit over unedited images; scorer B "
    "and the other judges say what that cost.",
    tables=matched_tables,
    charts=matched_charts,
    remark=lambda contents: attributes_left_out(contents.judges),
    folded_title="Further measures at matched change",
)
