"""What the trainings of a run came to, from what its methods publish, and the departures that their docstrings list."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.errors import LatentbenchError
from pipeline.methods import registry
from pipeline.report.charts.chart import specification
from pipeline.report.charts.library import vegalite_version
from pipeline.report.charts.marks import colour_of, dash_of, marks, shape_of
from pipeline.report.contents import Contents
from pipeline.report.sections.claims import orders

if TYPE_CHECKING:
    from altair.typing import ChartType

DEPARTURES = re.compile(r"^(Departures from|The paper leaves open)")
PAPER_INK = "#555555"  # of pictures that stand on any page: dark and light

Curve = tuple[list[float], list[float]]  # steps and losses


def learned(contents: Contents) -> dict[str, dict[str, Any]]:
    """What the training stage of each method published."""
    stages = {stage["group"]: stage for stage in contents.run.stages if stage.get("stage") == "train"}
    return {name: stages[name] for name in contents.methods if name in stages}


def curve_of(facts: Mapping[str, Any]) -> Curve | None:
    """Steps and losses of a training; of several losses their plain sum. None for a method without steps."""
    found = facts.get("curve") or facts.get("training", {}).get("curve")
    if isinstance(found, Mapping) and found.get("steps"):
        losses = [fsum(loss) for loss in found["losses"]]
        return list(map(float, found["steps"])), losses
    if isinstance(found, Sequence) and found:
        return [float(row[0]) for row in found], [float(row[1]) for row in found]
    return None


def fsum(loss: float | Sequence[float]) -> float:
    """A loss, or the sum of its parts."""
    return float(loss) if isinstance(loss, int | float) else float(sum(loss))


def held_out(facts: Mapping[str, Any]) -> str:
    """The loss on held-out codes before and after, as the method measured it; empty where it did not."""
    for part, last in ((facts, "end"), (facts.get("training", {}), "best")):
        if "start" in part and last in part:
            before, after = (number_of(part[key]) for key in ("start", last))
            if before is not None and after is not None:
                return f"{before:.4g} to {after:.4g}"
    return ""


def number_of(value: Any) -> float | None:
    """A loss that is a number, or the total of a table of them."""
    if isinstance(value, Mapping):
        value = value.get("total", value.get("loss"))
    return float(value) if isinstance(value, int | float) else None


def training_lines(contents: Contents) -> list[tuple[str, ...]]:
    """A row for every method: name, steps, loss, held-out loss, what else it says of learning, seconds."""
    rows = []
    for name, stage in learned(contents).items():
        facts = stage.get("learned", {}).get("facts", {})
        curve, steps, loss = curve_of(facts), "", ""
        if curve is not None:
            tenth = max(1, len(curve[1]) // 10)
            steps = f"{curve[0][-1]:,.0f}"
            loss = f"{fmean(curve[1][:tenth]):.4g} to {fmean(curve[1][-tenth:]):.4g}"
        seconds = stage.get("learned", {}).get("seconds", stage.get("work_seconds", 0.0))
        rows.append((name, steps or "–", loss or "–", held_out(facts) or "–", said(facts) or "–", f"{seconds:,.0f}"))
    return rows


def said(facts: Mapping[str, Any]) -> str:
    """Other facts on how a learning ended: whether solvers converged, how directions were named, an early stop."""
    words = []
    for key in ("boundaries", "regressions"):
        parts = [part for part in facts.get(key, {}).values() if part.get("trained") and "converged" in part]
        if parts:
            words.append(f"{sum(bool(part['converged']) for part in parts)} of {len(parts)} {key} converged")
    if "naming_candidates" in facts:
        unsure = len(facts.get("naming_unqualified", ()))
        words.append(f"{facts['naming_candidates']} candidates, {unsure} attributes without one that qualifies")
    for part in (facts, facts.get("training", {})):
        if isinstance(part, Mapping) and part.get("stopped"):
            words.append(f"stopped early: {part['stopped']}")
    return "; ".join(words)


def departures(contents: Contents) -> list[str]:
    """The departures of each method from its authors' code, as its class lists them."""
    lines = [
        "## Departures that could matter",
        "",
        "Of each method from its paper and its authors' code, as its class says.",
    ]
    for name in contents.methods:
        texts = departures_of(name)
        if texts:
            lines += ["", f"**{name}**", "", *texts]
    return lines if len(lines) > 3 else []


def departures_of(method: str) -> list[str]:
    """The paragraphs on departures in a method's docstring, one line for each point."""
    try:
        text = inspect.getdoc(registry.get(method)) or ""
    except (LatentbenchError, ImportError):
        return []
    paragraphs = text.split("\n\n")
    chosen = []
    for place, paragraph in enumerate(paragraphs):
        if DEPARTURES.match(paragraph):
            chosen.append(paragraph)
            if paragraph.rstrip().endswith(":") and place + 1 < len(paragraphs):
                chosen.append(paragraphs[place + 1])
    lines: list[str] = []
    for line in "\n".join(chosen).splitlines():
        if line.startswith("- ") or not lines or lines[-1].endswith(":"):
            lines.append(line.strip())
        else:
            lines[-1] += f" {line.strip()}"
    points = [f"{line[:-1]}." if line.endswith(":") else line for line in lines if line.startswith("- ")]
    return points or lines


# Pictures


def training_picture(contents: Contents) -> str:
    """SVG: the loss of every stepped training over its steps, pale, with its running mean; empty without any."""
    import altair as alt

    facts = {name: stage.get("learned", {}).get("facts", {}) for name, stage in learned(contents).items()}
    curves = {name: curve for name, own in facts.items() if (curve := curve_of(own)) is not None}
    if not curves:
        return ""
    rows = pd.concat([running(name, *curve) for name, curve in curves.items()])
    base = alt.Chart(rows).encode(x=alt.X("steps:Q"), color=colour_of(contents))
    up = alt.Scale(zero=False)
    layers = [
        base.mark_line(opacity=0.3, strokeWidth=0.6).encode(y=alt.Y("loss:Q", title="loss", scale=up)),
        base.mark_line(strokeWidth=1.6).encode(y=alt.Y("mean:Q", title="loss", scale=up)),
    ]
    panels = (
        alt.LayerChart(layer=layers, data=rows)
        .properties(width=260, height=110)
        .facet(alt.Facet("method:N", sort=list(curves), title=None), columns=2)
    )
    return standing_alone(panels.resolve_scale(x="independent", y="independent"), contents)


def running(name: str, steps: Sequence[float], losses: Sequence[float]) -> pd.DataFrame:
    """A training's losses and their running mean over a twentieth of them, which the first of them lack."""
    window = max(1, len(losses) // 20)
    mean = np.convolve(losses, np.full(window, 1 / window), "valid")
    padded = np.concatenate([np.full(window - 1, np.nan), mean])
    return pd.DataFrame({"method": name, "steps": steps, "loss": losses, "mean": padded})


def ranks_picture(contents: Contents) -> str:
    """SVG: every competitor's rank in every order; empty where fewer than two orders rank a method."""
    import altair as alt

    competitors = [name for name in contents.methods if name not in contents.controls]
    made = [one for one in orders(contents) if any(rank is not None for rank in one.ranks)]
    if len(made) < 2:
        return ""
    rows = [
        {"method": name, "order": one.title, "rank": one.ranks[place]}
        for one in made
        for place, name in enumerate(competitors)
    ]
    wrapped = alt.Axis(
        labelAngle=0, labelExpr=f"{json.dumps({one.title: wrap(one.title, 15) for one in made})}[datum.label]"
    )
    whole = alt.Axis(tickMinStep=1)
    base = alt.Chart(pd.DataFrame(rows).dropna(subset=["rank"])).encode(
        x=alt.X("order:N", sort=[one.title for one in made], title=None, axis=wrapped),
        y=alt.Y("rank:Q", title="rank, 1 the best", axis=whole, scale=alt.Scale(reverse=True, zero=False)),
        color=alt.Color("method:N", scale=alt.Scale(domain=contents.methods), legend=alt.Legend(values=competitors)),
    )
    shape = shape_of(contents)
    layers = [
        base.mark_line(strokeWidth=1.4).encode(strokeDash=dash_of(contents)),
        base.mark_point(filled=True, size=40, opacity=1).encode(shape=shape),
    ]
    return standing_alone(alt.LayerChart(layer=layers).properties(width=75 * len(made), height=260), contents)


def standing_alone(drawing: ChartType, contents: Contents) -> str:
    """SVG of a chart as a file: in the page's colours, its ink a grey that is read on white and on black."""
    import vl_convert

    text = {"labelColor": PAPER_INK, "titleColor": PAPER_INK}
    axis = {**text, "domainColor": PAPER_INK, "tickColor": PAPER_INK, "gridColor": PAPER_INK, "gridOpacity": 0.15}
    spec = specification(drawing, "") | {
        "config": {
            "background": None,
            "view": {"stroke": None},
            "axis": {**axis, "titleFontWeight": "normal", "tickCount": 5},
            "header": {**text, "labelAnchor": "start"},
            "legend": text,
            "range": {"category": [mark.light for mark in marks(contents)]},
        }
    }
    return str(vl_convert.vegalite_to_svg(spec, vegalite_version())) + "\n"
