"""How far an edit truly moves the person, where the truth of every face is known, and how well that can be told.

The truth reader reads a face's identity factors off its image. The distance is Euclidean over their differences to
the unedited image, each in standard deviations of the population and weighted by how much of a reading is the person's,
in units of the mean distance of two random persons: 0 is the same image, 1 another person
(`pipeline.networks.truth_reader`). The reader is in no loss.

The reader's own error is what it shows between two pictures of one person that differ in everything but the person:
`true_identity_error`, and one column of the edits beside the distance. An error that does not depend on the change
adds to it in quadrature, so a distance d that was read is a true one between sqrt(d^2 - error^2), or 0, and d. The
interval of the score covers that beside the sampling of faces: its low end is the bootstrap's for the lower bound, its
high end the bootstrap's for d. Methods that differ by less than the reader can tell have intervals that overlap.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from pipeline.metrics.base import MATCHED, PAPER, Judgement, Measured, Metric, Samples

UNIT = "mean distance of two random persons"


def samples(edits: Measured) -> list[Samples]:
    """The images on which the detector finds a face, as read; none where no truth is known."""
    read = _read(edits)
    if read is None:
        return []
    distance, _, detected = read
    return [Samples(distance[detected], edits.faces[detected], "reader")]


def score(edits: Measured) -> list[Judgement]:
    """Mean distance over the images on which the detector finds a face; no judgement where no truth is known."""
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
    """Root mean square distance of two pictures of one person, over the same images."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in error_samples(edits)]


def _read(edits: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Distance, error and whether a face is found, of every image (N,); None in a domain that knows no truth."""
    distance, error = (edits.columns[name] for name in ("true_identity_distance", "true_identity_error"))
    if np.isnan(distance).all():
        return None
    return distance.astype(np.float64), error.astype(np.float64), edits.columns["detected"].astype(bool)


TRUE_IDENTITY_DISTANCE = Metric(
    name="true_identity_distance",
    version=1,
    meaning="mean distance of true identity factors, as read, to the unedited image, over detected images; "
    "the interval reaches down by the reader's own error",
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
    meaning="what the truth reader shows where the person is the same and all else differs: "
    "its error in true_identity_distance",
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
