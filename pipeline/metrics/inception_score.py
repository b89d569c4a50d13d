"""Inception score of edited images, its spread over parts, and its difference from the score of unedited images.

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016: exp of the mean divergence of an image's class
probabilities from their mean, in 10 parts of a random order. The score is the mean of the parts, from 1 to the number
of classes; the spread is their standard deviation (divisor: the number of parts).

The L2L paper prints an "ISD" without a definition. Score, spread and difference are three quantities, and three metrics
here. The difference is absolute, and taken to the score of as many reference images as there are edited images, because
the score grows with their number.

Images of four classes, each recognised for certain, score 4; images of one class score 1:

>>> import numpy as np
>>> from pipeline.metrics.inception_score import inception_score
>>> certain = 100 * np.eye(4)
>>> inception_score(certain, 1, np.random.default_rng(0))
(4.0, 0.0)
>>> inception_score(certain[[0, 0, 0]], 1, np.random.default_rng(0))
(1.0, 0.0)

Intervals resample faces. A resample holds fewer different faces and scores lower, so an interval is the spread of the
resamples around their mean, centred on the score. The interval of the difference is the one of the signed difference,
folded at 0: where it holds 0, the low end becomes 0 and the high end the larger of the two distances from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric
from pipeline.statistics.bootstrap import Estimate, face_rows, keyed_rng

PAPER = "Salimans et al., NeurIPS 2016"
IMAGES_PER_PART = 50


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of logits (N, classes), float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponents = np.exp(shifted)
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _negative_entropy(p: np.ndarray) -> np.ndarray:
    return np.asarray((p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1))


@dataclass(frozen=True)
class FaceScores:
    """Sums per part and face, from which the score of any resample of F faces follows.

    number (parts, F): images; sharpness (parts, F): sums of p log p; mass (parts, F, classes): sums of p.
    """

    number: np.ndarray
    sharpness: np.ndarray
    mass: np.ndarray

    def parts(self, counts: np.ndarray) -> np.ndarray:
        """Scores of the parts of every resample: counts (S, F) -> (S, parts); NaN for a part without images."""
        number = counts @ self.number.T
        with np.errstate(divide="ignore", invalid="ignore"):
            marginal = np.einsum("sf,pfc->spc", counts, self.mass, optimize=True) / number[:, :, None]
            divergence = counts @ self.sharpness.T / number - _negative_entropy(marginal)
        return np.asarray(np.where(number > 0, np.exp(divergence), np.nan))


def scores_by_face(logits: np.ndarray, faces: np.ndarray, parts: int, rng: np.random.Generator) -> FaceScores:
    """The sums of logits (N, classes) with face ids (N,) by part of a random order of the images, and by face."""
    p = probabilities(logits)
    distinct, rows = face_rows(faces)
    parts = max(1, min(parts, len(p)))
    part = np.empty(len(p), dtype=np.int64)
    ends = np.arange(1, parts) * len(p) // parts
    part[rng.permutation(len(p))] = np.searchsorted(ends, np.arange(len(p)), side="right")
    number, sharpness = np.zeros((parts, len(distinct))), np.zeros((parts, len(distinct)))
    mass = np.zeros((parts, len(distinct), p.shape[1]))
    np.add.at(number, (part, rows), 1.0)
    np.add.at(sharpness, (part, rows), _negative_entropy(p))
    np.add.at(mass, (part, rows), p)
    return FaceScores(number, sharpness, mass)


def inception_score(logits: np.ndarray, parts: int, rng: np.random.Generator) -> tuple[float, float]:
    """Mean and standard deviation (divisor: parts) of the scores of the parts of logits (N, classes)."""
    whole = scores_by_face(logits, np.zeros(len(logits), dtype=np.int64), parts, rng)
    scores = whole.parts(np.ones((1, 1)))[0]
    return float(scores.mean()), float(scores.std())


def _resampled(edits: EditSet) -> tuple[np.ndarray, np.ndarray, str]:
    """Scores of the parts, (parts,), of the parts of every resample of faces, (S, parts), and a flag."""
    splits = edits.splits.inception_score_splits
    rng = keyed_rng(edits.bootstrap.seed, "inception_score", edits.attribute)
    sums = scores_by_face(edits.logits, edits.faces, splits, rng)
    faces = sums.number.shape[1]
    flag = f"fewer than {IMAGES_PER_PART} images in a part" if len(edits) < IMAGES_PER_PART * splits else ""
    return sums.parts(np.ones((1, faces)))[0], sums.parts(edits.bootstrap.counts(faces)), flag


def _judgement(edits: EditSet, value: float, resampled: np.ndarray, flag: str) -> list[Judgement]:
    faces = len(np.unique(edits.faces))
    low, high = edits.bootstrap.centred_interval(value, resampled, faces)
    return [Judgement(Estimate(value, low, high, faces, len(edits)), "perception", flag)]


def folded(signed: Judgement) -> Judgement:
    """The judgement of the absolute value of a signed one."""
    value, low, high = signed.estimate.value, signed.estimate.low, signed.estimate.high
    if low is not None and high is not None:
        low, high = 0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high))
    return replace(signed, estimate=replace(signed.estimate, value=abs(value), low=low, high=high))


def score(edits: EditSet) -> list[Judgement]:
    """Mean of the parts' scores."""
    parts, resampled, flag = _resampled(edits)
    return _judgement(edits, float(parts.mean()), resampled.mean(axis=1), flag)


def spread(edits: EditSet) -> list[Judgement]:
    """Standard deviation of the parts' scores, divisor: the number of parts."""
    parts, resampled, flag = _resampled(edits)
    return _judgement(edits, float(parts.std()), resampled.std(axis=1), flag)


def difference(edits: EditSet) -> list[Judgement]:
    """Absolute difference between the score and the score of as many unedited images."""
    parts, resampled, flag = _resampled(edits)
    logits = edits.reference.logits
    if len(logits) < len(edits):
        flag = "; ".join(filter(None, [flag, f"only {len(logits)} reference images"]))
    rng = keyed_rng(edits.bootstrap.seed, "inception_score", edits.attribute)
    unedited, _ = inception_score(logits[: len(edits)], edits.splits.inception_score_splits, rng)
    signed = _judgement(edits, float(parts.mean()) - unedited, resampled.mean(axis=1) - unedited, flag)
    return [folded(judgement) for judgement in signed]


INCEPTION_SCORE = Metric(
    name="inception_score",
    version=3,
    meaning="how certain and how varied the classes are that the perception net sees in the images; mean of 10 parts",
    paper=PAPER,
    unit="classes",
    better="higher",
    score=score,
    roles=("perception",),
    bounds=(1.0, inf),
)

INCEPTION_SCORE_SPREAD = Metric(
    name="inception_score_spread",
    version=3,
    meaning="standard deviation of the inception score over its 10 parts",
    paper=PAPER,
    unit="classes",
    better="neither",
    score=spread,
    roles=("perception",),
    bounds=(0.0, inf),
)

INCEPTION_SCORE_DIFFERENCE = Metric(
    name="inception_score_difference",
    version=3,
    meaning="absolute difference between the inception score and the score of as many unedited images",
    paper=PAPER,
    unit="classes",
    better="lower",
    score=difference,
    roles=("perception",),
    bounds=(0.0, inf),
)
