"""Rate curves: charts and tables of `rates-1`."""

from __future__ import annotations

from pipeline.metrics.base import RATES
from pipeline.report.charts.chart import Chart
from pipeline.report.charts.ranking import score_chart
from pipeline.report.charts.rate_curves import rate_chart
from pipeline.report.contents import Contents
from pipeline.report.grids import ALL, Grid, attribute_grid, level_grid, titled
from pipeline.report.sections import PageSection

BY_ATTRIBUTE = ("preservation_area", "acceptance_area", "target_change_rate")
BY_RATE = ("preservation_rate", "acceptance_rate")
NOTES = {
    "preservation_area": "Area under the share of the other 34 labels that are kept, over the share of faces whose own "
    "label flips; nothing counts beyond the highest share that flips.",
    "acceptance_area": "Area under the share of faces that recognizer B still accepts as the same, over that share.",
    "target_change_rate": "Largest share of faces whose label flips at one strength: how far the curves reach.",
    "preservation_rate": "No value: so many labels do not flip at any strength.",
    "acceptance_rate": "No value: so many labels do not flip at any strength.",
}


def rate_tables(contents: Contents) -> list[Grid]:
    """Attributes x methods for what a curve is as a whole, target-change rates x methods for where it is read."""
    scores = contents.scores[contents.scores["protocol"] == RATES]
    grids = []
    for metric in BY_ATTRIBUTE:
        part = scores[scores["metric"] == metric]
        if len(part):
            grids.append(attribute_grid(contents, part, f"rates-{metric}", titled(metric), note=NOTES[metric]))
    for metric in BY_RATE:
        part = scores[(scores["metric"] == metric) & (scores["attribute"] == ALL)]
        if len(part):
            title = f"{titled(metric)} over all attributes, by target-change rate"
            texts = {"corner": "labels flipped", "note": NOTES[metric]}
            grids.append(level_grid(contents, part, f"rates-{metric}", title, ".0%", **texts))
    return grids


def rate_charts(contents: Contents) -> list[Chart]:
    """The areas as a ranking, then the curves."""
    scores = contents.scores[contents.scores["protocol"] == RATES]
    areas = score_chart(contents, scores, BY_ATTRIBUTE, "rates-scores", "Areas under the curves")
    return [chart for chart in (areas, rate_chart(contents)) if chart is not None]


SECTION = PageSection(
    key="rates",
    title="Rate curves",
    order=44,
    protocol=RATES,
    lede="Every face is edited towards the other side of its label, with ever larger strengths: how many labels flip, "
    "and what is kept of the rest of the face by then. A face that is lost has kept nothing.",
    tables=rate_tables,
    charts=rate_charts,
)
