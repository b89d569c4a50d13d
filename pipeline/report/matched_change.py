"""The page's section on matched change: tables of the protocol's scores, and the re-scoring matrix as pictures.

Methods are set side by side where they have moved the edited attribute equally far; what the grid over calibrated
ranges cannot say. Tables by attribute are of the level next to 1; the others stand over all attributes, by level.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.attributes import NAMES
from pipeline.metrics.base import MATCHED
from pipeline.report.contents import Contents
from pipeline.report.figures import INK, Plot, blank_figure, plain, plot_style, svg_of
from pipeline.report.grids import (
    ALL,
    IDENTITY,
    Grid,
    attribute_grid,
    decimals_for,
    doubtful,
    grid_of,
    label,
    row_of,
    short,
)
from pipeline.report.judges import attributes_left_out

SHOWN_LEVEL = 1.0
BY_ATTRIBUTE = ("attribute_dependency_mean", "identity_distance", "true_identity_distance", "unreached_share")
BY_LEVEL = ("attribute_dependency_mean", "attribute_dependency_max", "attribute_change_reported", "unreached_share")
NOTES = {
    "attribute_dependency_mean": "Attribute dependency (StyleSpace): how far the other attributes move on average, "
    "by scorer B, in standard deviations of their logits, where the edited one has moved so far by scorer A. Edits "
    "that did not reach it are not in it.",
    "unreached_share": "Every other score is of the edits that reached the change, so read it beside this share. Part "
    "of it is no method's fault: a face that has all of an attribute already cannot have more. matched.parquet says "
    "why, face by face.",
}


def matched_scores(contents: Contents) -> pd.DataFrame:
    """The scores at matched change."""
    return contents.scores[contents.scores["protocol"] == MATCHED]


def shown_level(contents: Contents) -> float:
    """The level of the tables by attribute: the one next to SHOWN_LEVEL. NaN for a run without any."""
    levels = matched_scores(contents)["level"].dropna().unique().astype(float)
    return float(min(levels, key=lambda level: abs(level - SHOWN_LEVEL))) if len(levels) else float("nan")


def matched_tables(contents: Contents) -> tuple[list[Grid], list[Grid]]:
    """The tables that are read first, and all others: a new metric appears among these by itself.

    Attributes x methods at one level for every metric and network, and levels x methods over all attributes.
    """
    scores, level = matched_scores(contents), shown_level(contents)
    first: list[Grid] = []
    others: list[Grid] = []
    for (metric, network), part in scores.groupby(["metric", "network"], sort=False):
        own, overall = part[part["level"] == level], part[part["attribute"] == ALL]
        judge = "" if _judges(scores, metric) == 1 else f", by {short(str(network), contents.run.domain)}"
        if len(own):
            title = f"{_title(metric)} at a change of {level:g}{judge}"
            grid = attribute_grid(contents, own, f"matched-{metric}-{network}", title, note(contents, str(metric)))
            (first if metric in BY_ATTRIBUTE else others).append(grid)
        if len(overall):
            title = f"{_title(metric)} over all attributes, by level of change{judge}"
            (first if metric in BY_LEVEL else others).append(_level_grid(contents, overall, metric, network, title))
    trained_with = [grid for grid in _of_metric(first, IDENTITY) if grid in doubtful(_of_metric(first, IDENTITY))]
    first = [grid for grid in first if grid not in trained_with]
    return sorted(first, key=_place), [*others, *trained_with]


def note(contents: Contents, metric: str) -> str:
    """What stands above a metric's table; above those of attribute dependency also which attributes are left out."""
    own = attributes_left_out(contents.judges) if metric.startswith("attribute_dependency") else ""
    return " ".join(filter(None, [NOTES.get(metric, ""), own]))


def _of_metric(grids: list[Grid], metric: str) -> list[Grid]:
    return [grid for grid in grids if grid.key.startswith(f"matched-{metric}-")]


def _place(grid: Grid) -> int:
    """Tables by attribute before those by level, in the order in which BY_ATTRIBUTE and BY_LEVEL name them."""
    keys = [f"matched-{metric}-" for metric in BY_ATTRIBUTE] + [f"matched-levels-{metric}-" for metric in BY_LEVEL]
    return next(place for place, key in enumerate(keys) if grid.key.startswith(key))


def _judges(scores: pd.DataFrame, metric: str) -> int:
    return int(scores[scores["metric"] == metric]["network"].nunique())


def _level_grid(contents: Contents, scores: pd.DataFrame, metric: str, network: str, title: str) -> Grid:
    """Levels x methods of one metric over all attributes."""
    decimals = decimals_for(scores["value"].tolist())
    levels = sorted(scores["level"].unique())
    rows = [row_of(contents, scores[scores["level"] == level], f"{level:g}", decimals) for level in levels]
    return grid_of(contents, scores, f"matched-levels-{metric}-{network}", title, rows, corner="level")


def _title(metric: str) -> str:
    name = label(metric)
    return name[0].upper() + name[1:]


def mean_matrix(contents: Contents, method: str) -> np.ndarray:
    """(edited attributes, 35) signed changes for a rise of the edited one, a fall counted the other way round; NaN."""
    rows = contents.rescoring
    own = rows[(rows["method"] == method) & (rows["level"] == shown_level(contents))]
    risen = own.assign(risen=own["direction"] * own["change"].astype(float))
    table = risen.pivot_table(index="attribute", columns="scored_attribute", values="risen", aggfunc="mean")
    return table.reindex(index=contents.attributes, columns=list(NAMES)).to_numpy(float)


def rescoring_plot(contents: Contents) -> Plot | None:
    """The re-scoring matrix of every method, one below the other; None for a run without any."""
    if contents.rescoring.empty or not np.isfinite(shown_level(contents)):
        return None
    level, attributes, methods = shown_level(contents), contents.attributes, contents.methods
    with plot_style():
        figure = blank_figure(9.2, 1.3 + len(methods) * (0.35 + 0.145 * len(attributes)))
        panels = figure.subplots(len(methods), 1, sharex=True, squeeze=False)[:, 0]
        for panel, method in zip(panels, methods, strict=True):
            cells = np.ma.masked_invalid(mean_matrix(contents, method))
            mesh = panel.pcolormesh(cells, cmap="RdBu_r", vmin=-1.5 * level, vmax=1.5 * level)
            panel.set_title(plain(method), loc="left")
            panel.set_yticks(np.arange(len(attributes)) + 0.5, attributes, fontsize=7)
            panel.invert_yaxis()
            panel.grid(visible=False)
        panels[-1].set_xticks(np.arange(len(NAMES)) + 0.5, NAMES, rotation=90, fontsize=7)
        bar = figure.colorbar(mesh, ax=panels, shrink=min(1.0, 2.5 / len(methods)), pad=0.01)
        if bar.solids is not None:
            bar.solids.set_rasterized(False)  # else it is drawn as a picture, which has an address
        bar.set_label("signed change, standard deviations", color=INK)
        drawn = svg_of(figure, "rescoring")
    caption = (
        f"Rows: the edited attribute, raised by {level:g} standard deviations of scorer A's logit; columns: what "
        "scorer B sees of all 35. Red rises, blue falls; a perfect edit colours its own column alone. Edits that lower "
        "the attribute count the other way round. Blank: no face reached the change, or the attribute is left out. "
        + attributes_left_out(contents.judges)
    )
    return Plot("rescoring", "Re-scoring at matched change", caption, drawn)
