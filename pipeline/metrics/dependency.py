"""What an edit changes besides its own attribute: attribute dependency, at matched change of the edited one.

Wu, Lischinski & Shechtman, "StyleSpace Analysis", CVPR 2021, section 5: for an edit of attribute t, mean-AD is the mean
over the other attributes i of |d_i| / sigma_i, max-AD the largest of them; d_i is the change of the logit of i and
sigma_i its standard deviation over generated images. Averaged in this order: first over (or the largest of) the
attributes of one image, then over images. The edits were searched by scorer A; the changes here are scorer B's.

An attribute that hardly varies in this domain, or of which most images have none, has no usable sigma and is left out
(`pipeline.statistics.units`); the table `judges` says which. The 35 attributes know some things
twice (glasses and reading glasses, smile and neutral): of edits of those, max-AD begins high for every method.
"""

from __future__ import annotations

from math import inf

import numpy as np

from pipeline.metrics.base import MATCHED, Judgement, MatchedSet, Metric

PAPER = "Wu et al., CVPR 2021 (StyleSpace)"
UNIT = "standard deviation of the logit"


def others(edits: MatchedSet) -> np.ndarray:
    """|d_i| / sigma_i (N, 35) of every image; NaN for the edited attribute itself and for what has no unit."""
    changes = np.abs(edits.changes.astype(np.float64))
    changes[np.arange(len(changes)), edits.targets] = np.nan
    return changes


def mean(edits: MatchedSet) -> list[Judgement]:
    """Mean over the other attributes, then over images."""
    return [Judgement(edits.mean(np.nanmean(others(edits), axis=1)), "scorer_b")] if len(edits) else []


def largest(edits: MatchedSet) -> list[Judgement]:
    """Largest over the other attributes, then the mean over images."""
    return [Judgement(edits.mean(np.nanmax(others(edits), axis=1)), "scorer_b")] if len(edits) else []


ATTRIBUTE_DEPENDENCY_MEAN = Metric(
    name="attribute_dependency_mean",
    version=1,
    meaning="change of the other attributes at matched change of the edited one: mean over them, then over images",
    paper=PAPER,
    unit=UNIT,
    better="lower",
    score=mean,
    roles=("scorer_b",),
    protocols=(MATCHED,),
    bounds=(0.0, inf),
)

ATTRIBUTE_DEPENDENCY_MAX = Metric(
    name="attribute_dependency_max",
    version=1,
    meaning="change of the most changed other attribute at matched change of the edited one, mean over images",
    paper=PAPER,
    unit=UNIT,
    better="lower",
    score=largest,
    roles=("scorer_b",),
    protocols=(MATCHED,),
    bounds=(0.0, inf),
)
