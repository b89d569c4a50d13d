"""How often an edit still shows a face: the share of images on which the detector finds one."""

from __future__ import annotations

from pipeline.metrics.base import EditSet, Judgement, Metric, Samples


def samples(edits: EditSet) -> list[Samples]:
    """1 for every image on which a face is found, 0 for the others."""
    return [Samples(edits.columns["detected"].astype(float), edits.faces, "detector")]


def score(edits: EditSet) -> list[Judgement]:
    """Share of detected images."""
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
