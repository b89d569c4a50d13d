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
import pandas as pd

import latentbench

if TYPE_CHECKING:
    from altair.typing import ChartType

METHODS = {"interfacegan": "#2f7ed8", "ganspace": "#0b9e77", "random": "#8a8a8a"}
EDITS = {"age": (1.0, 0.0), "beard": (0.35, 0.75), "yaw": (-0.45, 0.55)}  # directions of the drawing, not of W
ORDERS, AT_ONCE, UNDONE = "one edit after another, in six orders", "all three at once", "age, then undone"
COLOURS = {ORDERS: "#2f7ed8", AT_ONCE: "#e07b00", UNDONE: "#c4529c"}
INK = "#777777"  # is read on a light page and on a dark one
WIDTH, HEIGHT = 460, 260


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("folder", type=Path, help="for the pictures")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    save(rates(latentbench.report("latest", given.outputs).frame("rates")), given.folder / "rates.svg")
    save(consistency(), given.folder / "consistency.svg")


def rates(table: pd.DataFrame) -> ChartType:
    """Preservation against target change of three methods, over all attributes; the area of the first is filled."""
    import altair as alt

    from pipeline.metrics.curves import curve

    parts = []
    for name in METHODS:
        steps = table[table["method"] == name].groupby("strength_index")
        x, y = curve(steps["flipped"].mean().to_numpy()[None], steps["preserved"].mean().to_numpy()[None])
        parts.append(pd.DataFrame({"method": name, "flipped": x[0], "kept": y[0]}))
    points = pd.concat(parts)
    across = alt.X("flipped:Q", title="target change: share of faces whose label flipped", scale=unit())
    up = alt.Y("kept:Q", title="preservation: share of other labels kept", scale=unit(), stack=None)
    lines = alt.Chart(points).mark_line(point=True)
    area = alt.Chart(parts[0]).mark_area(opacity=0.15, color=METHODS["interfacegan"]).encode(x=across, y=up)
    return alt.LayerChart(
        layer=[area, lines.encode(x=across, y=up, color=colour("method", METHODS), order="flipped:Q")]
    )


def consistency() -> ChartType:
    """Six orders of three edits from one face, one edit of all three, and the first edit undone."""
    import altair as alt

    noise = np.random.default_rng(4)
    ways = []
    for number, order in enumerate(permutations(EDITS)):
        corners = [np.zeros(2)]
        for step, name in enumerate(order):
            corners.append(corners[-1] + EDITS[name] + noise.normal(0, 0.035 * step, 2))
        ways.append(way(ORDERS, number, corners))
    ways.append(way(AT_ONCE, 0, [np.zeros(2), np.sum(list(EDITS.values()), axis=0) + (0.16, 0.1)]))
    ways.append(way(UNDONE, 0, [np.zeros(2), np.array(EDITS["age"]), np.array([0.06, -0.16])]))
    bare = alt.Axis(labels=False, ticks=False, grid=False)
    return (
        alt.Chart(pd.concat(ways))
        .mark_line(point=True)
        .encode(
            x=alt.X("x:Q", title="codes: a drawing, not a measurement", axis=bare),
            y=alt.Y("y:Q", title=None, axis=bare),
            color=colour("edits", COLOURS),
            detail="number:N",
            order="step:Q",
        )
    )


def way(edits: str, number: int, corners: list[np.ndarray]) -> pd.DataFrame:
    """The codes that edits go through, one row each."""
    x, y = np.transpose(corners)
    return pd.DataFrame({"edits": edits, "number": number, "step": range(len(corners)), "x": x, "y": y})


def unit() -> object:
    """A scale from 0 to 1."""
    import altair as alt

    return alt.Scale(domain=[0, 1])


def colour(column: str, colours: dict[str, str]) -> object:
    """The colours of a column's values, with a legend below."""
    import altair as alt

    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color(f"{column}:N", title=None, scale=scale, legend=alt.Legend(orient="bottom", labelLimit=400))


def save(drawing: ChartType, path: Path) -> None:
    """Write the chart as SVG without a background."""
    import vl_convert

    text = {"labelColor": INK, "titleColor": INK, "titleFontWeight": "normal"}
    axis = {**text, "domainColor": INK, "tickColor": INK, "gridColor": INK, "gridOpacity": 0.15, "tickCount": 5}
    style = {"background": None, "view": {"stroke": None}, "axis": axis, "legend": text}
    spec = drawing.properties(width=WIDTH, height=HEIGHT).to_dict() | {"config": style}
    path.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")


if __name__ == "__main__":
    main()
