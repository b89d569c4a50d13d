"""True identity distance: how far an edit moves the person, in a domain that knows the true person of every face.

The truth reader (`pipeline.networks.truth_reader`) reads a face's identity factors from its image. The distance is
Euclidean over the differences of these factors to the unedited image; each factor counts in standard deviations of the
population and by how much of its reading is due to the person. The unit is the mean distance of two random persons:
0 is the same image, 1 another person. The reader is in no loss. The metric is ours.

The reader errs. `true_identity_error` is the distance it shows between two pictures of one person that differ in
everything else. An error that does not depend on the change adds to it in quadrature, so a distance d that was read
means a true one between sqrt(d^2 - error^2) (or 0) and d. The interval of the score covers both the sampling of faces
and this error: its low end is the bootstrap's for the lower bound, its high end the bootstrap's for d. Methods that
differ by less than the reader can tell have intervals that overlap.

>>> import numpy as np
>>> from pipeline.metrics.base import Measured
>>> from pipeline.metrics.true_identity_distance import TRUE_IDENTITY_DISTANCE
>>> columns = {
...     "face_id": np.array([7, 8]),
...     "detected": np.array([True, True]),
...     "true_identity_distance": np.array([0.5, 0.5]),
...     "true_identity_error": np.array([0.3, 0.3]),
... }
>>> [score] = TRUE_IDENTITY_DISTANCE.score(Measured(method="l2l", attribute="age", columns=columns))
>>> score.estimate.low, score.estimate.value, score.estimate.high  # .5^2 - .3^2 = .4^2
(0.4, 0.5, 0.5)
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from pipeline.metrics.base import MATCHED, PAPER, Judgement, Measured, Metric, Samples

UNIT = "mean distance of two random persons"


def samples(edits: Measured) -> list[Samples]:
    """The distance of every image on which the detector finds a face; empty in a domain without truth."""
    read = _read(edits)
    if read is None:
        return []
    distance, _, detected = read
    return [Samples(distance[detected], edits.faces[detected], "reader")]


def score(edits: Measured) -> list[Judgement]:
    """Mean distance over the images on which the detector finds a face; no score in a domain without truth."""
    read = _read(edits)
    if read is None:
        return []
    distance, error, detected = read
    certain = np.sqrt((distance**2 - error**2).clip(min=0.0))
    estimate = edits.mean(distance, detected)
    return [Judgement(replace(estimate, low=edits.mean(certain, detected).low), "reader")]


def error_samples(edits: Measured) -> list[Samples]:
    """The reader's error on the images on which the detector finds a face; none where no truth is known."""
    read = _read(edits)
    if read is None:
        return []
    _, error, detected = read
    return [Samples(error[detected], edits.faces[detected], "reader")]


def score_error(edits: Measured) -> list[Judgement]:
    """Mean error of the reader over the same images: the root mean square distance of two pictures of one person."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in error_samples(edits)]


def _read(edits: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Of every image, distance, error and whether a face is found, (N,) each; None in a domain without truth."""
    distance, error = (edits.columns[name] for name in ("true_identity_distance", "true_identity_error"))
    if np.isnan(distance).all():
        return None
    return distance.astype(np.float64), error.astype(np.float64), edits.columns["detected"].astype(bool)


TRUE_IDENTITY_DISTANCE = Metric(
    name="true_identity_distance",
    version=1,
    meaning="mean distance of the identity factors that the truth reader reads, to the unedited image, over detected "
    "images; the interval includes the reader's error",
    paper="ours",
    unit=UNIT,
    better="lower",
    score=score,
    samples=samples,
    roles=("reader",),
    protocols=(PAPER, MATCHED),
    bounds=(0.0, inf),
)

TRUE_IDENTITY_ERROR = Metric(
    name="true_identity_error",
    version=1,
    meaning="distance that the truth reader shows between two pictures of one person that differ in all else: its "
    "error in true_identity_distance",
    paper="ours",
    unit=UNIT,
    better="neither",
    score=score_error,
    samples=error_samples,
    compared=False,
    roles=("reader",),
    protocols=(PAPER, MATCHED),
    bounds=(0.0, inf),
)
