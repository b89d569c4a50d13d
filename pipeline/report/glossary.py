"""What each metric of a run says, in the words of the metric itself; one that is no longer known keeps its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import UnknownNameError
from pipeline.metrics import base
from pipeline.report.grids import label


@dataclass(frozen=True)
class Entry:
    """One metric: `better` is lower, higher or neither; `networks`: the judges of this run."""

    metric: str
    name: str
    meaning: str
    unit: str
    better: str
    networks: tuple[str, ...]
    paper: str


def glossary(facts: Mapping[str, tuple[str, str]], networks: Mapping[str, Sequence[str]]) -> list[Entry]:
    """Entries for those metrics: `facts` maps metric -> (unit, better), `networks` metric -> the judges."""
    entries = []
    for metric, (unit, better) in facts.items():
        judges = tuple(name for name in networks.get(metric, ()) if name != base.NO_NETWORK)
        meaning, paper = _said(metric)
        entries.append(Entry(metric, label(metric), meaning, unit, better, judges, paper))
    return entries


def _said(metric: str) -> tuple[str, str]:
    try:
        known = base.get(metric)
    except UnknownNameError:
        return "", ""
    return known.meaning, known.paper
