"""Locality: how much of what an edit changes lies where the attribute truly is, in a domain whose truth is known.

Of the squared change of pixels between edited and unedited image, the share inside the attribute's true parts on this
very face (`pipeline.domains.synthface.parts`): the beard's for a beard, eyes, brows, mouth and skin for a smile. LLF's
claim, "edits stay local" (Towards Interpretable Face Morphing via Unsupervised Learning of Layer-Wise and Local
Features, 2026, section 4), is a claim about this number; the paper shows pictures.

An edit that changes all pixels evenly scores the parts' share of the picture, `parts_area`: a locality near it is no
locality. Attributes that are everywhere (yaw, pitch) have no such score, nor have edits that change nothing. The
generator draws the truth with a small error, which is in the unedited image too.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import LOCALITY as PROTOCOL
from pipeline.metrics.base import EditSet, Judgement, Metric, Samples

PAPER = "ours; the claim: LLF, 2026"


def samples(edits: EditSet) -> list[Samples]:
    """The share of every image that changed, of faces that the detector still finds."""
    return _known(edits, "local_share")


def areas(edits: EditSet) -> list[Samples]:
    """The parts' area of the same images."""
    return _known(edits, "parts_area")


def score(edits: EditSet) -> list[Judgement]:
    """Mean share."""
    return [Judgement(part.estimate(edits.bootstrap)) for part in samples(edits)]


def score_area(edits: EditSet) -> list[Judgement]:
    """Mean area."""
    return [Judgement(part.estimate(edits.bootstrap)) for part in areas(edits)]


def _known(edits: EditSet, column: str) -> list[Samples]:
    values = edits.columns[column].astype(np.float64)
    known = np.isfinite(values) & edits.columns["detected"].astype(bool)
    return [Samples(values[known], edits.faces[known])] if known.any() else []


LOCALITY = Metric(
    name="locality",
    version=1,
    meaning="share of the squared pixel change inside the attribute's true parts, over detected images that changed",
    paper=PAPER,
    unit="1",
    better="higher",
    score=score,
    protocols=(PROTOCOL,),
    samples=samples,
    bounds=(0.0, 1.0),
)

PARTS_AREA = Metric(
    name="parts_area",
    version=1,
    meaning="share of the picture that those parts take up: the locality of an even change",
    paper=PAPER,
    unit="1",
    better="neither",
    score=score_area,
    protocols=(PROTOCOL,),
    bounds=(0.0, 1.0),
)
