"""The calibrated ranges in charts: ranks by the paper's protocol, curves along the ranges, where they end."""

from __future__ import annotations

from pipeline.metrics.base import PAPER
from pipeline.report.charts.chart import Chart
from pipeline.report.charts.ranking import rank_chart
from pipeline.report.charts.steps import step_charts
from pipeline.report.contents import Contents
from pipeline.report.sections import PageSection


def charts(contents: Contents) -> list[Chart]:
    """Ranks first, then the curves of the edits."""
    ranks = rank_chart(contents, PAPER)
    return [*([] if ranks is None else [ranks]), *step_charts(contents)]


SECTION = PageSection(key="calibrated", title="Over calibrated ranges", order=50, charts=charts)
