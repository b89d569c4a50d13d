"""The page's sections on rate curves and on consistency: tables of the scores of `rates-1` and `consistency-1`."""

from __future__ import annotations

from pipeline.metrics.base import CONSISTENCY, RATES
from pipeline.report.contents import Contents
from pipeline.report.grids import ALL, Grid, attribute_grid, decimals_for, grid_of, label, row_of

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
CARRIED = "What a method carries from edit to edit: {}. Values that it does not carry are read again by scorer A."


def rate_tables(contents: Contents) -> list[Grid]:
    """Attributes x methods for what a curve is as a whole, target-change rates x methods for where it is read."""
    scores = contents.scores[contents.scores["protocol"] == RATES]
    grids = []
    for metric in BY_ATTRIBUTE:
        part = scores[scores["metric"] == metric]
        if len(part):
            grids.append(attribute_grid(contents, part, f"rates-{metric}", _title(metric), NOTES[metric]))
    for metric in BY_RATE:
        part = scores[(scores["metric"] == metric) & (scores["attribute"] == ALL)]
        if len(part):
            decimals = decimals_for(part["value"].dropna().tolist())
            rates = sorted(part["level"].unique())
            rows = [row_of(contents, part[part["level"] == rate], f"{rate:.0%}", decimals) for rate in rates]
            title = f"{_title(metric)} over all attributes, by target-change rate"
            texts = {"corner": "labels flipped", "note": NOTES[metric]}
            grids.append(grid_of(contents, part, f"rates-{metric}", title, rows, **texts))
    return grids


def consistency_table(contents: Contents) -> list[Grid]:
    """Metrics x methods; empty for a run without them."""
    scores = contents.scores[contents.scores["protocol"] == CONSISTENCY]
    if scores.empty:
        return []
    rows = []
    for metric, part in scores.groupby("metric", sort=False):
        rows.append(row_of(contents, part, label(str(metric)), decimals_for(part["value"].tolist())))
    carried = [f"{name} ({what})" for name, what in sorted(contents.carried.items())]
    note = CARRIED.format(", ".join(carried)) if carried else ""
    return [grid_of(contents, scores, "consistency", "Consistency of edits", rows, corner="metric", note=note)]


def _title(metric: str) -> str:
    name = label(metric)
    return name[0].upper() + name[1:]
