"""Inception score of edited images, its spread over parts, and its difference from the unedited images' score.

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016: exp of the mean divergence of an image's class
probabilities from their mean, in 10 parts of a random order; score = mean of the parts, spread = their standard
deviation (divisor: the number of parts). The L2L paper prints an "ISD" without a definition; score, spread and
difference are three quantities and three metrics here. The difference is absolute, and taken to the score of as many
reference images as there are edited ones, because the score grows with their number.

The intervals resample faces: a resample holds fewer different faces and scores lower, so they are the spread of the
resamples around their own mean, laid around the score. Around the difference it is laid while that has its sign, and is
folded where it reaches over 0: then the low end is 0, and the high end that of the farther side.
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
    """Softmax of (N, classes), float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponents = np.exp(shifted)
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _negative_entropy(p: np.ndarray) -> np.ndarray:
    return np.asarray((p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1))


@dataclass(frozen=True)
class FaceScores:
    """What the score of any resample of faces needs, per part and face.

    number (parts, F), sharpness (parts, F): images, and sum of p log p. mass (parts, F, classes): sum of p.
    """

    number: np.ndarray
    sharpness: np.ndarray
    mass: np.ndarray

    def parts(self, counts: np.ndarray) -> np.ndarray:
        """Scores of the parts of every resample: counts (S, F) -> (S, parts); NaN for a part left without images."""
        number = counts @ self.number.T
        with np.errstate(divide="ignore", invalid="ignore"):
            marginal = np.einsum("sf,pfc->spc", counts, self.mass, optimize=True) / number[:, :, None]
            divergence = counts @ self.sharpness.T / number - _negative_entropy(marginal)
        return np.asarray(np.where(number > 0, np.exp(divergence), np.nan))


def scores_by_face(logits: np.ndarray, faces: np.ndarray, parts: int, rng: np.random.Generator) -> FaceScores:
    """Sums of (N, classes) logits by face and by part of a random order of the images."""
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
    """Mean and standard deviation (divisor: parts) of the parts' scores of (N, classes) logits."""
    whole = scores_by_face(logits, np.zeros(len(logits), dtype=np.int64), parts, rng)
    scores = whole.parts(np.ones((1, 1)))[0]
    return float(scores.mean()), float(scores.std())


def _resampled(edits: EditSet) -> tuple[np.ndarray, np.ndarray, str]:
    """The parts' scores of the set, (parts,), and of every resample of its faces, (S, parts); and a flag."""
    wanted = edits.splits.inception_score_splits
    rng = keyed_rng(edits.bootstrap.seed, "inception_score", edits.attribute)
    sums = scores_by_face(edits.logits, edits.faces, wanted, rng)
    faces = sums.number.shape[1]
    flag = f"fewer than {IMAGES_PER_PART} images in a part" if len(edits) < IMAGES_PER_PART * wanted else ""
    return sums.parts(np.ones((1, faces)))[0], sums.parts(edits.bootstrap.counts(faces)), flag


def _judgement(edits: EditSet, value: float, resampled: np.ndarray, flag: str) -> list[Judgement]:
    faces = len(np.unique(edits.faces))
    low, high = edits.bootstrap.centred_interval(value, resampled, faces)
    return [Judgement(Estimate(value, low, high, faces, len(edits)), "perception", flag)]


def folded(signed: Judgement) -> Judgement:
    """The judgement of the absolute value, from that of a value with its sign."""
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
    """Absolute difference of the score to that of as many unedited images."""
    parts, resampled, flag = _resampled(edits)
    logits = edits.reference.logits
    if len(logits) < len(edits):
        flag = "; ".join(filter(None, [flag, f"only {len(logits)} reference images"]))
    rng = keyed_rng(edits.bootstrap.seed, "inception_score", edits.attribute)
    own, _ = inception_score(logits[: len(edits)], edits.splits.inception_score_splits, rng)
    signed = _judgement(edits, float(parts.mean()) - own, resampled.mean(axis=1) - own, flag)
    return [folded(judgement) for judgement in signed]


INCEPTION_SCORE = Metric(
    name="inception_score",
    version=3,
    meaning="how sharp and how varied the perception net's classes of the images are; mean of 10 parts",
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
    meaning="absolute difference of the inception score to that of as many unedited images",
    paper=PAPER,
    unit="classes",
    better="lower",
    score=difference,
    roles=("perception",),
    bounds=(0.0, inf),
)
