"""Reach: whether a matched change was possible at all, and whether scorer B, which guided no search, sees it too.

Scorer A labels, trains and guides the search for strengths, so a method may please A without changing the attribute.
`attribute_change_reported` is the change that scorer B sees in the same edits, in scorer B's standard deviations:
ideally the level. `unreached_share` is the share, in [0, 1], of faces and directions for which no strength was found.
Both metrics are ours.

>>> import numpy as np
>>> from pipeline.metrics.base import MatchedSet
>>> from pipeline.metrics.reach import ATTRIBUTE_CHANGE_REPORTED, UNREACHED_SHARE
>>> columns = {
...     "face_id": np.array([7, 8, 8]),
...     "direction": np.array([1, 1, -1]),
...     "change_b": np.array([1.0, 0.5, -0.3]),
... }
>>> edits = MatchedSet(
...     method="sefa", attribute="age", columns=columns, level=1.0, changes=np.zeros((3, 35)), targets=np.zeros(3, int),
...     all_faces=np.array([7, 7, 8, 8]), all_reached=np.array([True, False, True, True]),
... )
>>> UNREACHED_SHARE.score(edits)[0].estimate.value
0.25
>>> round(ATTRIBUTE_CHANGE_REPORTED.score(edits)[0].estimate.value, 3)
0.6
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import MATCHED, Judgement, MatchedSet, Metric

PAPER = "ours"


def unreached(edits: MatchedSet) -> list[Judgement]:
    """Share of the faces and directions for which no strength was found. `n_images` counts faces x directions."""
    estimate = edits.bootstrap.mean((~edits.all_reached).astype(float), edits.all_faces)
    return [Judgement(estimate, "scorer_a")]


def reported(edits: MatchedSet) -> list[Judgement]:
    """Mean change of the edited attribute in the direction of the edit, by scorer B; no score without a unit."""
    change = edits.columns["direction"] * edits.columns["change_b"].astype(float)
    known = np.isfinite(change)  # NaN where scorer B's logit has no usable spread
    return [Judgement(edits.mean(change, known), "scorer_b")] if known.any() else []


UNREACHED_SHARE = Metric(
    name="unreached_share",
    version=1,
    meaning="share of changes that no strength makes while a face is still found; other scores of the level lack them",
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
    meaning="change of the edited attribute in the direction of the edit, by the scorer that guided no search; "
    "ideally the level",
    paper=PAPER,
    unit="standard deviation of the logit",
    better="neither",
    score=reported,
    roles=("scorer_b",),
    protocols=(MATCHED,),
)
