"""Locality: the share of an edit's change that lies where the attribute truly is, in a domain that knows where.

Of the squared change of pixels between edited and unedited image, the share inside the attribute's true parts on this
very face (`pipeline.domains.synthface.parts`): the beard for a beard; eyes, brows, mouth and skin for a smile. In
[0, 1], higher is better.

The LLF paper ("Towards Interpretable Face Morphing via Unsupervised Learning of Layer-Wise and Local Features", 2026,
section 4) claims that "edits stay local" and shows pictures; this number tests the claim. The metric is ours.

An edit that changes all pixels evenly scores the share of the picture that the parts take up, `parts_area`: a locality
near it means no locality. Attributes that are everywhere (yaw, pitch) and edits that change nothing have no score. The
generator draws the true parts with a small error, in the unedited image too.

>>> import numpy as np
>>> from pipeline.metrics.base import Measured
>>> from pipeline.metrics.locality import LOCALITY, PARTS_AREA
>>> columns = {
...     "face_id": np.array([7, 8, 9]),
...     "detected": np.array([True, True, True]),
...     "local_share": np.array([0.9, 0.7, np.nan]),  # nothing changed on face 9
...     "parts_area": np.array([0.2, 0.2, np.nan]),
... }
>>> edits = Measured(method="llf", attribute="beard", columns=columns)
>>> [round(metric.score(edits)[0].estimate.value, 3) for metric in (LOCALITY, PARTS_AREA)]
[0.8, 0.2]
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import LOCALITY as PROTOCOL
from pipeline.metrics.base import EditSet, Judgement, Metric, Samples

PAPER = "ours; the claim: LLF, 2026"


def samples(edits: EditSet) -> list[Samples]:
    """The local share of every image that changed and on which the detector finds a face."""
    return _known(edits, "local_share")


def areas(edits: EditSet) -> list[Samples]:
    """The area of the true parts on the same images, as a share of the picture."""
    return _known(edits, "parts_area")


def score(edits: EditSet) -> list[Judgement]:
    """Mean local share."""
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
    meaning="share of the picture inside the attribute's true parts: the locality of an even change",
    paper=PAPER,
    unit="1",
    better="neither",
    score=score_area,
    protocols=(PROTOCOL,),
    bounds=(0.0, 1.0),
)
