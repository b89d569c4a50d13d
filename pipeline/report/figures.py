"""The plots of a run's page, as inline SVG that takes the page's own ink and type, light or dark.

One panel per attribute, one colour per method throughout the page; controls are grey. Nothing here touches a
display or global matplotlib state.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.attributes import index_of
from pipeline.report.contents import Contents
from pipeline.tables.schemas import VALUE_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#2f7ed8", "#e07b00", "#0b9e77", "#c4529c", "#8a6fe0", "#b8860b", "#d1495b", "#00a0b0", "#7a9a01", "#a0522d")
GREYS = ("#757575", "#b0b0b0", "#939393")
INK = "#010203"  # stands for the page's own text colour; replaced by currentColor
IDENTITY_COLUMNS = {
    "identity_recognizer_b": "recognizer B (in no training loss)",
    "identity_mtcnn": "MTCNN's features (the paper's measure)",
}
NO_METADATA: dict[str, Any] = {"Creator": None, "Date": None, "Format": None, "Type": None}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "latentbench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Plot:
    """A figure of the page: inline SVG without any address in it, a title and a caption."""

    key: str
    title: str
    caption: str
    svg: str


def colours(contents: Contents) -> dict[str, str]:
    """The colour of each method, the same in every plot and table."""
    rivals = [name for name in contents.methods if name not in contents.controls]
    chosen = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(rivals)}
    controls = [name for name in contents.methods if name in contents.controls]
    return chosen | {name: GREYS[place % len(GREYS)] for place, name in enumerate(controls)}


def attribute_change(edits: pd.DataFrame) -> pd.Series:
    """Per edit, the edited attribute's change by scorer B: its value on the edit less that on the unedited image."""
    values = edits[list(VALUE_COLUMNS)].to_numpy(np.float64)
    columns = {name: index_of(name) for name in edits["attribute"].unique()}
    chosen = edits["attribute"].map(columns).to_numpy(np.intp)
    return pd.Series(values[np.arange(len(edits)), chosen], index=edits.index) - edits["start_value"].astype(float)


def step_means(edits: pd.DataFrame, identity: str) -> pd.DataFrame:
    """Means over the faces of each (method, attribute, step): strength, change, size of change, identity, detected.

    `identity` names an identity column of EDITS; it, `change` (signed) and `moved` (the mean of its absolute value)
    are over the images on which a face was found, as in the scores.
    """
    frame = edits[["method", "attribute", "step", "strength", "displacement", "detected"]].copy()
    frame["identity"] = edits[identity].where(edits["detected"])
    frame["change"] = attribute_change(edits).where(edits["detected"])
    frame["moved"] = frame["change"].abs()
    return frame.groupby(["method", "attribute", "step"], sort=False).mean(numeric_only=True).reset_index()


def plots(contents: Contents) -> list[Plot]:
    """Every plot of the page, in its order; none for a run without edits."""
    if contents.edits.empty:
        return []
    drawn = [identity_plot(contents, column) for column in IDENTITY_COLUMNS]
    return [*drawn, ranges_plot(contents), detected_plot(contents)]


def identity_plot(contents: Contents, column: str) -> Plot:
    """Identity distance against the size of the attribute's change, one curve per method over its steps."""
    means = step_means(contents.edits, column)

    def draw(panel: Axes, method: str, colour: str, attribute: str) -> None:
        part = means[(means["method"] == method) & (means["attribute"] == attribute)].sort_values("strength")
        control = method in contents.controls
        for side, line in ((part[part["strength"] >= 0], "-"), (part[part["strength"] <= 0], (0, (2, 1.4)))):
            panel.plot(
                side["moved"],
                side["identity"],
                color=colour,
                linestyle=line,
                marker="o",
                markersize=2.2 if len(part) < 20 else 1.4,
                alpha=0.75 if control else 1.0,
                zorder=2 if control else 3,
            )

    key = f"curve-{column.replace('_', '-')}"
    svg = _panels(contents, draw, key, across="mean |change of the attribute|, by scorer B", up="identity distance")
    judge = IDENTITY_COLUMNS[column]
    caption = (
        "One point per step, the mean over its faces. To the right: the attribute changed more; lower: the person "
        "stayed more the same. A better method runs further to the right at the same height. Solid: towards the "
        "high end of the range; dashed: towards its low end. Images without a found face are left out, as in the "
        "tables."
    )
    return Plot(key, f"Identity against attribute change, by {judge}", caption, svg)


def detected_plot(contents: Contents) -> Plot:
    """Share of faces that the detector still finds, over the steps of the range."""
    means = step_means(contents.edits, "identity_mtcnn")
    lowest = min(80.0, 100 * float(means["detected"].min()) - 2)

    def draw(panel: Axes, method: str, colour: str, attribute: str) -> None:
        part = means[(means["method"] == method) & (means["attribute"] == attribute)].sort_values("step")
        control = method in contents.controls
        panel.plot(
            part["step"],
            100 * part["detected"],
            color=colour,
            linestyle=(0, (2, 1.4)) if control else "-",
            marker="o",
            markersize=2.2 if len(part) < 20 else 1.2,
            zorder=2 if control else 3,
        )
        panel.set_ylim(lowest, 101)

    svg = _panels(contents, draw, "detected", across="step of the range, low end to high end", up="faces found, %")
    caption = (
        "The calibrated range ends where the detector begins to lose faces, or at the displacement cap; inside it "
        "nearly all must be found. Dashed: controls."
    )
    return Plot("detected", "Faces still found along the range", caption, svg)


def range_ends(contents: Contents) -> pd.DataFrame:
    """RANGES with the mean displacement over faces at each end of the range (`low_moved`, `high_moved`).

    Displacement, in mean distances of two random w, is the one unit that all methods share.
    """
    means = contents.edits.groupby(["method", "attribute", "step"], sort=False)["displacement"].mean().reset_index()
    grouped = means.sort_values("step").groupby(["method", "attribute"], sort=False)["displacement"]
    ends = pd.DataFrame({"low_moved": grouped.first(), "high_moved": grouped.last()}).reset_index()
    return contents.ranges.merge(ends, on=["method", "attribute"], how="left")


def ranges_plot(contents: Contents) -> Plot:
    """Calibrated ranges as displacement of w, and what set each end."""
    ends = range_ends(contents)
    svg = _draw_ranges(contents, ends)
    caption = (
        "How far each method may go before the rule stops it. Dot: the detector set the end; bar: the cap on "
        "displacement did; diamond: stronger edits move the code no further; ring: the method has no effect."
    )
    return Plot("ranges", "Calibrated ranges", caption, svg)


def _draw_ranges(contents: Contents, ends: pd.DataFrame) -> str:
    shades, methods, attributes = colours(contents), contents.methods, contents.attributes
    with plot_style():
        figure = blank_figure(9.2, 1.1 + len(attributes) * (0.14 + 0.11 * len(methods)))
        panel = figure.subplots()
        for _, row in ends.iterrows():
            if row["attribute"] not in attributes or row["method"] not in methods:
                continue
            lane = (methods.index(row["method"]) - (len(methods) - 1) / 2) * 0.8 / len(methods)
            y, colour = attributes.index(row["attribute"]) + lane, shades[row["method"]]
            panel.plot([-row["low_moved"], row["high_moved"]], [y, y], color=colour, solid_capstyle="butt")
            _end_mark(panel, -row["low_moved"], y, row["low_set_by"], colour)
            _end_mark(panel, row["high_moved"], y, row["high_set_by"], colour)
        panel.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
        panel.set_yticks(range(len(attributes)), attributes)
        panel.set_ylim(len(attributes) - 0.45, -0.55)
        panel.grid(axis="y", visible=False)
        panel.set_xlabel("displacement of w at each end of the range, in mean distances of two random w")
        panel.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        _legend(figure, shades)
        return svg_of(figure, "ranges")


def _end_mark(panel: Axes, x: float, y: float, set_by: str, colour: str) -> None:
    marks = {"detector": ("o", colour), "cap": ("|", colour), "plateau": ("D", colour)}
    marker, face = marks.get(set_by, ("o", "none"))
    size = {"|": 9.0, "D": 3.8}.get(marker, 4.5)
    panel.plot([x], [y], marker=marker, color=colour, markerfacecolor=face, markersize=size, markeredgewidth=1.6)


def _panels(contents: Contents, draw: Callable[[Axes, str, str, str], None], key: str, *, across: str, up: str) -> str:
    """SVG with one panel per attribute; `draw(panel, method, colour, attribute)` draws one method's curve."""
    shades, attributes = colours(contents), contents.attributes
    columns = min(4, max(1, len(attributes)))
    rows = -(-len(attributes) // columns)
    with plot_style():
        figure = blank_figure(2.3 * columns + 0.3, 1.95 * rows + 0.75)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for panel, attribute in zip(grid.flat, attributes, strict=False):
            panel.set_title(attribute, loc="left")
            for method in contents.methods:
                draw(panel, method, shades[method], attribute)
        for panel in list(grid.flat)[len(attributes) :]:
            panel.set_visible(False)
        figure.supxlabel(across, fontsize=9)
        figure.supylabel(up, fontsize=9)
        _legend(figure, shades)
        return svg_of(figure, key)


def plot_style() -> AbstractContextManager[None]:
    """While it lasts, matplotlib draws in the page's style."""
    import matplotlib

    return matplotlib.rc_context(STYLE)


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _legend(figure: Figure, shades: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, label=plain(name)) for name, colour in shades.items()]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(6, len(handles)))


def plain(text: str) -> str:
    """A name that matplotlib prints as it is: no dollar starts a formula, no underscore hides a legend's entry."""
    return text.replace("$", r"\$").lstrip("_")


def svg_of(figure: Figure, key: str) -> str:
    """The figure as SVG for an HTML page: scalable, its ids its own, its ink the page's, no address in it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    opening, rest = svg.split(">", 1)
    box = re.search(r'viewBox="0 0 ([\d.]+) [\d.]+"', opening)
    if box is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox.")
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = re.sub(r'\bid="', f'id="{key}-', rest)
    rest = rest.replace("url(#", f"url(#{key}-").replace('xlink:href="#', f'href="#{key}-')
    width = float(box.group(1))  # points; the page scales a plot within these limits, so that its type stays readable
    limits = f"min-width: {0.85 * width:.0f}px; max-width: {1.65 * width:.0f}px"
    return f'<svg class="plot" role="img" style="{limits}" {box.group()}>' + rest.replace(INK, "currentColor").strip()
