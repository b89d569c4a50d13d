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
>>> x, y = curve(flipped=np.array([0.5, 0.5]), kept=np.array([0.8, 0.3]))
>>> x, y
(array([0. , 0.5]), array([1. , 0.8]))
>>> area(x, y), value_at(x, y, 0.25), value_at(x, y, 0.9)
(0.45, 0.9, nan)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.metrics.base import RATES, Judgement, Metric, RateSet
from pipeline.statistics.bootstrap import Estimate, sums_by_face

AT = (0.5, 0.75, 0.9)  # target-change rates at which curves are read
PAPER = "Yao et al., ICCV 2021"


def curve(flipped: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of a curve, x (P,) rising from 0 and y (P,), from mean rates (S,) at rising strengths.

    The first point is (0, 1), the unedited face. A strength that flips no more than a weaker one gives no point.
    """
    x, y = [0.0], [1.0]
    for rate, value in zip(flipped.tolist(), kept.tolist(), strict=True):
        if rate > x[-1]:
            x.append(rate)
            y.append(value)
    return np.array(x), np.array(y)


def area(x: np.ndarray, y: np.ndarray) -> float:
    """Area under a curve over rates 0 to 1; nothing beyond its last point."""
    return float(np.trapezoid(y, x))


def value_at(x: np.ndarray, y: np.ndarray, rate: float) -> float:
    """The curve's height at a target-change rate; NaN beyond its last point."""
    return float(np.interp(rate, x, y)) if rate <= x[-1] else float("nan")


def estimate(edits: RateSet, column: str, read: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
    """`read(x, y)` of the curve of a column, with its interval over resampled faces."""
    strengths = np.unique(edits.columns["strength_index"])
    faces = edits.faces
    sums: dict[str, np.ndarray] = {}
    for name in ("flipped", column):
        values = np.zeros((len(faces), len(strengths)))
        values[np.arange(len(faces)), np.searchsorted(strengths, edits.columns["strength_index"])] = edits.columns[name]
        sums[name] = sums_by_face(values, faces)
    images = sums_by_face(np.ones(len(faces)), faces) / len(strengths)

    def reading(counts: np.ndarray) -> float:
        n = counts @ images
        return read(*curve(counts @ sums["flipped"] / n, counts @ sums[column] / n))

    value = reading(np.ones(len(images)))
    resampled = np.array([reading(counts) for counts in edits.bootstrap.counts(len(images))])
    low, high = edits.bootstrap.interval(value, resampled, len(images))
    return Estimate(value, low, high, len(images), len(faces))


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
    return [Judgement(estimate(edits, "flipped", lambda x, _: float(x[-1])), "scorer_b")]


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
