"""The metric of the protocol."""

from __future__ import annotations

from math import inf

from pipeline.metrics.base import Judgement, Measured, Metric

PROTOCOL = "farthest-1"


def score(edits: Measured) -> list[Judgement]:
    """Mean over faces of how far the farthest edit went."""
    return [Judgement(edits.mean(edits.columns["displacement"]))]


FARTHEST_DISPLACEMENT = Metric(
    name="farthest_displacement",
    version=1,
    meaning="how far the farthest edit of a face moved its code",
    paper="ours",
    unit="mean distance of two random w",
    better="lower",
    score=score,
    per_attribute=False,
    protocols=(PROTOCOL,),
    bounds=(0.0, inf),
)
