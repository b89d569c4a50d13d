"""Attribute dependency: what an edit changes besides its own attribute, where that attribute has changed equally far.

Wu, Lischinski & Shechtman, "StyleSpace Analysis", CVPR 2021, section 5: for an edit of attribute t, mean-AD is the mean
over the other attributes i of |d_i| / sigma_i, and max-AD the largest of them; d_i is the change of the logit of i, and
sigma_i the standard deviation of that logit over generated images. The mean (or the largest) over the attributes of one
image comes first, then the mean over images. Scorer A guides the search for the strengths; scorer B measures the
changes. In standard deviations, from 0; lower is better.

An attribute that hardly varies in this domain, or that most images lack, has no usable sigma and is left out
(`pipeline.statistics.units`); the table `judges` lists it. Some of the 35 attributes mean nearly the same (glasses and
reading glasses, smile and neutral), so max-AD of their edits is high for every method.

An edit of age that moves beard by .34 standard deviations and nothing else; .34 / 34 other attributes is .01:

>>> import numpy as np
>>> from pipeline.attributes import index_of
>>> from pipeline.metrics.base import MatchedSet
>>> from pipeline.metrics.dependency import ATTRIBUTE_DEPENDENCY_MAX, ATTRIBUTE_DEPENDENCY_MEAN
>>> age, beard, changes = index_of("age"), index_of("beard"), np.zeros((2, 35))
>>> changes[:, age], changes[:, beard] = 1.0, 0.34
>>> edits = MatchedSet(
...     method="sefa", attribute="age", columns={"face_id": np.array([7, 8])}, level=1.0, changes=changes,
...     targets=np.array([age, age]), all_faces=np.array([7, 8]), all_reached=np.array([True, True]),
... )
>>> ATTRIBUTE_DEPENDENCY_MEAN.score(edits)[0].estimate.value
0.01
>>> ATTRIBUTE_DEPENDENCY_MAX.score(edits)[0].estimate.value
0.34
"""

from __future__ import annotations

from math import inf

import numpy as np

from pipeline.metrics.base import MATCHED, Judgement, MatchedSet, Metric

PAPER = "Wu et al., CVPR 2021 (StyleSpace)"
UNIT = "standard deviation of the logit"


def others(edits: MatchedSet) -> np.ndarray:
    """|d_i| / sigma_i of every image, (N, 35); NaN for the edited attribute and for attributes without a unit."""
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
