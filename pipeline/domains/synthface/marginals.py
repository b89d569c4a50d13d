"""The distribution of each attribute in FFHQ: what is shipped of it, and its quantiles. Needs no torch."""

from __future__ import annotations

import functools
import json
from bisect import bisect_right
from pathlib import Path
from typing import Any

from pipeline import attributes

STATISTICS = Path(__file__).with_name("statistics.json")


@functools.cache
def statistics() -> dict[str, Any]:
    """FFHQ's marginals and rank correlations, as shipped in `statistics.json`."""
    return json.loads(STATISTICS.read_text(encoding="utf-8"))


@functools.cache
def quantile_knots(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Probabilities and attribute values in [0, 1] of one marginal; binary ones become a step."""
    entry = statistics()["attributes"][name]
    limits = attributes.get(name)
    knots = {float(p): float(v) for p, v in entry["quantiles"].items()}
    share = float(entry["share_above_half"])
    span = limits.high - limits.low
    if limits.kind == "binary":
        edge = 1 - share
        return (0.0, edge, edge + 1e-6, 1.0), (0.0, 0.0, 1.0, 1.0)
    if span == 1 and 0 < share < 1:
        below = max((p for p, v in knots.items() if v < 0.5), default=0.0)
        above = min((p for p, v in knots.items() if v > 0.5), default=1.0)
        if below < 1 - share < above:
            knots[1 - share] = 0.5
    probabilities = tuple(sorted(knots))
    values = tuple(min(max((knots[p] - limits.low) / span, 0.0), 1.0) for p in probabilities)
    return probabilities, values


def median(name: str) -> float:
    """The median, in [0, 1], of an attribute: `copula.quantile` at one half, by the same steps."""
    knots, values = quantile_knots(name)
    place = min(max(bisect_right(knots, 0.5), 1), len(knots) - 1)
    low, high = knots[place - 1], knots[place]
    part = min(max((0.5 - low) / (high - low), 0.0), 1.0)
    start, end = values[place - 1], values[place]
    return start + part * (end - start) if part < 0.5 else end - (end - start) * (1 - part)
