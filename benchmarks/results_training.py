"""What the trainings of a run came to, from what its methods publish, and the departures that their docstrings list."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from textwrap import fill
from typing import Any

import numpy as np

from pipeline.errors import LatentbenchError
from pipeline.methods import registry
from pipeline.report.contents import Contents
from pipeline.report.figures import INK, PALETTE, blank_figure, colours, plain, plot_style, svg_of
from pipeline.report.sections.claims import orders

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
    """SVG: the loss of every stepped training over its share of steps, as a share of its first; empty without any."""
    facts = {name: stage.get("learned", {}).get("facts", {}) for name, stage in learned(contents).items()}
    curves = {name: curve for name, own in facts.items() if (curve := curve_of(own)) is not None}
    if not curves:
        return ""
    shades = colours(contents)
    with plot_style():
        figure = blank_figure(7.5, 2.1 * -(-len(curves) // 2))
        panels = figure.subplots(-(-len(curves) // 2), 2, squeeze=False).ravel()
        for panel, (name, (steps, losses)) in zip(panels, curves.items(), strict=False):
            window = max(1, len(losses) // 20)
            smooth = np.convolve(losses, np.full(window, 1 / window), "valid")
            panel.plot(steps, losses, color=shades[name], alpha=0.25, linewidth=0.6)
            panel.plot(steps[window - 1 :], smooth, color=shades[name])
            panel.set_title(plain(name), loc="left")
            panel.set_xlabel("steps")
        for panel in panels[len(curves) :]:
            panel.set_axis_off()
        return standing_alone(svg_of(figure, "training"))


def ranks_picture(contents: Contents) -> str:
    """SVG: every competitor's rank in every order; empty where fewer than two orders rank a method."""
    competitors = [name for name in contents.methods if name not in contents.controls]
    made = [one for one in orders(contents) if any(rank is not None for rank in one.ranks)]
    if len(made) < 2:
        return ""
    shades = colours(contents)
    with plot_style():
        figure = blank_figure(7.5, 1.8 + 0.25 * len(competitors))
        panel = figure.subplots()
        for place, name in enumerate(competitors):
            ranks = [np.nan if one.ranks[place] is None else float(one.ranks[place] or 0) for one in made]
            line = "-" if place < len(PALETTE) else "--"  # a colour that is there already
            panel.plot(
                range(len(made)), ranks, marker="o", markersize=4, color=shades[name], linestyle=line, label=plain(name)
            )
        panel.invert_yaxis()
        panel.set_ylabel("rank, 1 the best")
        panel.set_xticks(range(len(made)), [fill(one.title, 15) for one in made], fontsize=6)
        figure.legend(*panel.get_legend_handles_labels(), loc="outside right upper", fontsize=7)
        return standing_alone(svg_of(figure, "ranks"))


def standing_alone(svg: str) -> str:
    """SVG of the page as a file: it names its kind, and its ink is a grey that is read on white and on black."""
    named = svg if "xmlns=" in svg else svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return named.replace("currentColor", PAPER_INK).replace(INK, PAPER_INK) + ("" if svg.endswith("\n") else "\n")
