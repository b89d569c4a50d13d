"""The pictures of docs/explanation: rate curves of a published run, and what the protocol of consistency edits.

    python -m benchmarks.protocol_pictures outputs docs/img/protocols

writes rates.svg and consistency.svg. docs/img/protocols/grid.png is `latentbench show interfacegan age --to FILE`.
"""

from __future__ import annotations

import argparse
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import latentbench

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = {"interfacegan": "#2f7ed8", "ganspace": "#0b9e77", "random": "#8a8a8a"}
EDITS = {"age": (1.0, 0.0), "beard": (0.35, 0.75), "yaw": (-0.45, 0.55)}  # directions of the drawing, not of W
INK = "#777777"  # stands on a light page and on a dark one


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("folder", type=Path, help="for the pictures")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    save(rates(latentbench.report("latest", given.outputs).frame("rates")), given.folder / "rates.svg")
    save(consistency(), given.folder / "consistency.svg")


def rates(table: pd.DataFrame) -> Figure:
    """Preservation against target change of three methods, over all attributes; the area of the first is filled."""
    from pipeline.metrics.curves import curve

    figure, panel = blank(5.2, 3.4)
    for name, colour in METHODS.items():
        steps = table[table["method"] == name].groupby("strength_index")
        flipped, kept = steps["flipped"].mean().to_numpy(), steps["preserved"].mean().to_numpy()
        x, y = (values[0] for values in curve(flipped[None], kept[None]))
        panel.plot(x, y, color=colour, marker=".", label=name)
        panel.fill_between(x, y, color=colour, alpha=0.15 if name == "interfacegan" else 0.0, linewidth=0)
    panel.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="target change: share of faces whose label flipped")
    panel.set_ylabel("preservation: share of other labels kept")
    legend = panel.legend(frameon=False, loc="lower right")
    for text in legend.get_texts():
        text.set_color(INK)
    return figure


def consistency() -> Figure:
    """Six orders of three edits from one face, one edit of all three, and the first edit undone."""
    figure, panel = blank(5.2, 3.4)
    noise = np.random.default_rng(4)
    ends = []
    for order in permutations(EDITS):
        corners = [np.zeros(2)]
        for step, name in enumerate(order):
            corners.append(corners[-1] + EDITS[name] + noise.normal(0, 0.035 * step, 2))
        panel.plot(*np.transpose(corners), color="#2f7ed8", linewidth=1, marker=".", markersize=4)
        ends.append(corners[-1])
    at_once = np.sum(list(EDITS.values()), axis=0) + (0.16, 0.1)
    arrow(panel, np.zeros(2), at_once, "#e07b00")
    undone = np.array([0.06, -0.16])
    arrow(panel, np.array(EDITS["age"]), undone, "#c4529c")
    words(panel, np.mean(ends, axis=0), "six orders: spread", (-20, 16), "#2f7ed8")
    words(panel, at_once, "all three at once", (10, 0), "#e07b00")
    words(panel, undone, "age, then undone", (4, -14), "#c4529c")
    words(panel, np.zeros(2), "unedited", (-58, -4), INK)
    panel.set(
        xlim=(-0.75, 1.85), ylim=(-0.35, 1.6), xticks=[], yticks=[], xlabel="codes (a drawing, not a measurement)"
    )
    return figure


def arrow(panel: Axes, start: np.ndarray, end: np.ndarray, colour: str) -> None:
    """An edit as an arrow."""
    panel.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.5})


def words(panel: Axes, at: np.ndarray, text: str, shift: tuple[float, float], colour: str) -> None:
    """A label next to a point, shifted by points of print."""
    panel.annotate(text, at, shift, textcoords="offset points", color=colour, fontsize=9)


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure without background and its axes; inches."""
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    panel = figure.add_subplot()
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(INK)
    panel.tick_params(colors=INK)
    panel.xaxis.label.set_color(INK)
    panel.yaxis.label.set_color(INK)
    return figure, panel


def save(figure: Figure, path: Path) -> None:
    """Write the figure as SVG, without a date: the same run gives the same bytes."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "latentbench", "svg.fonttype": "none"}):
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
