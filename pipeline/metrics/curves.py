"""Rate curves: what an edit keeps of a face, against how often it changes its attribute.

Yao et al., "A Latent Transformer for Disentangled Face Editing in Images and Videos", ICCV 2021, section 4: every face
is edited towards the other side of its label, with strengths from 0 to the method's largest. At each strength,

- the **target-change rate** is the share of faces whose label has flipped;
- the **attribute-preservation rate** is the mean share of the other attributes' labels that have not flipped;
- the **acceptance rate** is the share of faces that recognizer B accepts as the same person, at a fixed rate of false
  accepts.

Scorer B, on which no method trains, gives the labels. All rates are in [0, 1].

Departures from the paper: all 34 other attributes count, not the 39 of CelebA; continuous attributes are cut at their
median over unedited images; identity is an acceptance instead of a mean cosine; a face that the detector loses counts
as not flipped, not kept and not accepted, and stays in every denominator.

A curve runs over the target-change rates that were reached. A strength that reaches no higher rate than a weaker one is
left out. The area is taken over target-change rates from 0 to 1 and counts nothing beyond the highest rate reached, so
a method that hardly edits cannot win. The value at a rate is interpolated between the two nearest strengths, and
missing where the rate is not reached. Intervals resample faces.

Half of the faces flip at a strength where .8 of the other labels are kept; a stronger edit flips no more:

>>> import numpy as np
>>> from pipeline.metrics.curves import area, curve, value_at
>>> x, y = curve(flipped=np.array([[0.5, 0.5]]), kept=np.array([[0.8, 0.3]]))
>>> x, y
(array([[0. , 0.5, 0.5]]), array([[1. , 0.8, 0.8]]))
>>> area(x, y), value_at(x, y, 0.25), value_at(x, y, 0.9)
(array([0.45]), array([0.9]), array([nan]))
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.metrics.base import RATES, Judgement, Metric, RateSet
from pipeline.statistics.bootstrap import Estimate, face_rows

AT = (0.5, 0.75, 0.9)  # target-change rates at which curves are read
PAPER = "Yao et al., ICCV 2021"


def curve(flipped: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of R curves, x and y (R, S + 1), from mean rates (R, S) at rising strengths; x never falls.

    The first point is (0, 1), the unedited face. A strength that flips no more than a weaker one repeats the last
    point, which adds no area.
    """
    x = np.maximum.accumulate(np.insert(flipped, 0, 0.0, axis=1), axis=1)
    heights = np.insert(kept, 0, 1.0, axis=1)
    points = np.arange(x.shape[1])
    last = np.maximum.accumulate(np.where(np.diff(x, axis=1, prepend=0.0) > 0, points, 0), axis=1)
    return x, np.take_along_axis(heights, last, axis=1)


def area(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Areas (R,) under R curves over rates 0 to 1; nothing beyond their last points."""
    return np.asarray(np.trapezoid(y, x, axis=1))


def value_at(x: np.ndarray, y: np.ndarray, rate: float) -> np.ndarray:
    """The heights (R,) of R curves at a target-change rate above 0; NaN beyond their last points."""
    every = np.arange(len(x))
    after = (x < rate).sum(axis=1)  # the first point at the rate or beyond
    right = np.minimum(after, x.shape[1] - 1)
    left = right - 1
    width = np.maximum(x[every, right] - x[every, left], np.finfo(float).tiny)
    share = (rate - x[every, left]) / width
    between = y[every, left] + (y[every, right] - y[every, left]) * share
    height = np.where(x[every, right] == rate, y[every, right], between)
    return np.asarray(np.where(after < x.shape[1], height, np.nan))


def estimate(edits: RateSet, column: str, read: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Estimate:
    """`read(x, y)` of the curve of a column, with its interval over resampled faces."""
    strengths, index = np.unique(edits.columns["strength_index"], return_inverse=True)
    distinct, rows = face_rows(edits.faces)
    images = np.bincount(rows) / len(strengths)
    counts = np.concatenate([np.ones((1, len(distinct))), edits.bootstrap.counts(len(distinct))])
    rates = []
    for name in ("flipped", column):
        sums = np.bincount(rows * len(strengths) + index, edits.columns[name], len(distinct) * len(strengths))
        rates.append(counts @ sums.reshape(len(distinct), -1) / (counts @ images)[:, None])
    value, resampled = np.split(read(*curve(*rates)), [1])
    low, high = edits.bootstrap.interval(float(value[0]), resampled, len(distinct))
    return Estimate(float(value[0]), low, high, len(distinct), len(rows))


def _area_of(column: str, role: str) -> Callable[[RateSet], list[Judgement]]:
    def score(edits: RateSet) -> list[Judgement]:
        return [Judgement(estimate(edits, column, area), role)] if edits.level is None else []

    return score


def _value_of(column: str, role: str) -> Callable[[RateSet], list[Judgement]]:
    def score(edits: RateSet) -> list[Judgement]:
        if edits.level is None:
            return []
        rate = edits.level
        height = estimate(edits, column, lambda x, y: value_at(x, y, rate))
        return [Judgement(height, role, "" if np.isfinite(height.value) else "the target-change rate is not reached")]

    return score


def _top(edits: RateSet) -> list[Judgement]:
    if edits.level is not None:
        return []
    return [Judgement(estimate(edits, "flipped", lambda x, _: x[:, -1]), "scorer_b")]


TARGET_CHANGE_RATE = Metric(
    name="target_change_rate",
    version=1,
    meaning="largest share of faces whose label flips at one strength",
    paper=PAPER,
    unit="1",
    better="higher",
    score=_top,
    roles=("scorer_b",),
    protocols=(RATES,),
    bounds=(0.0, 1.0),
)

PRESERVATION_AREA = Metric(
    name="preservation_area",
    version=1,
    meaning="area under the attribute-preservation rate over target-change rates 0 to 1; 0 beyond the highest reached",
    paper=PAPER,
    unit="1",
    better="higher",
    score=_area_of("preserved", "scorer_b"),
    roles=("scorer_b",),
    protocols=(RATES,),
    bounds=(0.0, 1.0),
)

ACCEPTANCE_AREA = Metric(
    name="acceptance_area",
    version=1,
    meaning="area under the identity acceptance rate over target-change rates 0 to 1; 0 beyond the highest reached",
    paper=PAPER,
    unit="1",
    better="higher",
    score=_area_of("accepted", "recognizer_b"),
    roles=("recognizer_b",),
    protocols=(RATES,),
    bounds=(0.0, 1.0),
)

PRESERVATION_RATE = Metric(
    name="preservation_rate",
    version=1,
    meaning="share of the other attributes' labels kept, at the target-change rate `level`",
    paper=PAPER,
    unit="1",
    better="higher",
    score=_value_of("preserved", "scorer_b"),
    roles=("scorer_b",),
    protocols=(RATES,),
    bounds=(0.0, 1.0),
)

ACCEPTANCE_RATE = Metric(
    name="acceptance_rate",
    version=1,
    meaning="share of faces accepted as the same person, at the target-change rate `level`",
    paper=PAPER,
    unit="1",
    better="higher",
    score=_value_of("accepted", "recognizer_b"),
    roles=("recognizer_b",),
    protocols=(RATES,),
    bounds=(0.0, 1.0),
)
