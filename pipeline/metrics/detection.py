"""Detected share: the share of edited images on which the detector still finds a face, in [0, 1].

The detector is MTCNN: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", IEEE Signal Processing Letters 2016. Identity metrics leave out the images without a face, so a method that
destroys faces shows here.

>>> import numpy as np
>>> from pipeline.metrics.base import Measured
>>> from pipeline.metrics.detection import DETECTED_SHARE
>>> columns = {"face_id": np.array([7, 7, 8, 8]), "detected": np.array([True, True, True, False])}
>>> DETECTED_SHARE.score(Measured(method="l2l", attribute="age", columns=columns))[0].estimate.value
0.75
"""

from __future__ import annotations

from pipeline.metrics.base import EditSet, Judgement, Metric, Samples


def samples(edits: EditSet) -> list[Samples]:
    """1 for an image on which a face is found, 0 for any other."""
    return [Samples(edits.columns["detected"].astype(float), edits.faces, "detector")]


def score(edits: EditSet) -> list[Judgement]:
    """Share of the images on which a face is found."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in samples(edits)]


DETECTED_SHARE = Metric(
    name="detected_share",
    version=1,
    meaning="share of images on which the detector finds a face; the others are not in identity_distance",
    paper="Zhang et al., IEEE Signal Processing Letters 2016 (the detector)",
    unit="share",
    better="higher",
    score=score,
    roles=("detector",),
    samples=samples,
    bounds=(0.0, 1.0),
)
