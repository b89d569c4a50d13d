"""Whether a matched change was reached, and whether a scorer that guided nothing sees it too.

Strengths are searched by scorer A, which labels and trains. A method can please A without doing what A stands for;
what scorer B sees of the same edit, in its own standard deviations, tells: ideally the level itself.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import MATCHED, Judgement, MatchedSet, Metric

PAPER = "ours"


def unreached(edits: MatchedSet) -> list[Judgement]:
    """Share of all faces and directions for which no strength was found: `n_images` counts these changes."""
    estimate = edits.bootstrap.mean((~edits.all_reached).astype(float), edits.all_faces)
    return [Judgement(estimate, "scorer_a")]


def reported(edits: MatchedSet) -> list[Judgement]:
    """Mean change of the edited attribute in the wanted direction, by scorer B."""
    towards = edits.columns["direction"] * edits.columns["change_b"].astype(float)
    known = np.isfinite(towards)  # not where scorer B's logit has no usable spread
    return [Judgement(edits.mean(towards, known), "scorer_b")] if known.any() else []


UNREACHED_SHARE = Metric(
    name="unreached_share",
    version=1,
    meaning="share of changes that no strength makes while a face is still found; no other score of the level has them",
    paper=PAPER,
    unit="share",
    better="lower",
    score=unreached,
    roles=("scorer_a",),
    protocols=(MATCHED,),
    bounds=(0.0, 1.0),
)

ATTRIBUTE_CHANGE_REPORTED = Metric(
    name="attribute_change_reported",
    version=1,
    meaning="change of the edited attribute, in the wanted direction, by the scorer that guided no search: ideally the "
    "level",
    paper=PAPER,
    unit="standard deviation of the logit",
    better="neither",
    score=reported,
    roles=("scorer_b",),
    protocols=(MATCHED,),
)
