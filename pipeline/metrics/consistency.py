"""Consistency of edits: whether three edits give the same face in every order, in one pass, and after undoing one.

Abdal et al., "StyleFlow", TOG 2021, section 5: edits in another order should end in the same face. Khodadadeh et al.,
"Latent to Latent", WACV 2022: one network edits many attributes in one pass, and its cycle loss asks that an edit can
be undone. Every score is a mean over faces, from 0; 0 is perfect, and also the score of a method that changes nothing.
`consistency_displacement` therefore says how far the edits went.

A face without a unit for any edited attribute (NaN) is left out:

>>> import numpy as np
>>> from pipeline.metrics.base import Measured
>>> from pipeline.metrics.consistency import ORDER_SCORE_SPREAD
>>> columns = {"face_id": np.array([7, 8, 9]), "order_score_spread": np.array([0.1, 0.3, np.nan])}
>>> [score] = ORDER_SCORE_SPREAD.score(Measured(method="styleflow", attribute="all", columns=columns))
>>> score.estimate.value, score.estimate.n_faces
(0.2, 2)
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np

from pipeline.metrics.base import CONSISTENCY, Judgement, Measured, Metric

STYLEFLOW = "Abdal et al., TOG 2021"
L2L = "Khodadadeh et al., WACV 2022"
LENGTH = "mean distance of two random w"
SIGMA = "standard deviation of the logit over unedited images"


def _mean(column: str, role: str = "none") -> Callable[[Measured], list[Judgement]]:
    def score(edits: Measured) -> list[Judgement]:
        values = edits.columns[column]
        return [Judgement(edits.mean(values, np.isfinite(values)), role)]  # NaN: no attribute of the face has a unit

    return score


def _metric(name: str, column: str, meaning: str, paper: str, unit: str, role: str = "none") -> Metric:
    return Metric(
        name=name,
        version=2,
        meaning=meaning,
        paper=paper,
        unit=unit,
        better="neither" if column == "displacement" else "lower",
        score=_mean(column, role),
        roles=() if role == "none" else (role,),
        per_attribute=False,
        protocols=(CONSISTENCY,),
        bounds=(0.0, inf),
    )


CONSISTENCY_DISPLACEMENT = _metric(
    "consistency_displacement", "displacement", "how far three edits in a row moved the code", STYLEFLOW, LENGTH
)
ORDER_SCORE_SPREAD = _metric(
    "order_score_spread",
    "order_score_spread",
    "standard deviation over the six orders of the edited attributes, by scorer B",
    STYLEFLOW,
    SIGMA,
    "scorer_b",
)
ORDER_DISPLACEMENT = _metric(
    "order_displacement", "order_displacement", "mean distance of the codes in which two orders end", STYLEFLOW, LENGTH
)
ORDER_LPIPS = _metric(
    "order_lpips", "order_lpips", "mean perceptual distance of two orders' images", STYLEFLOW, "1", "lpips"
)
AT_ONCE_SCORE_DIFFERENCE = _metric(
    "at_once_score_difference",
    "at_once_score_difference",
    "difference between one edit of all three attributes and the mean of the six orders, by scorer B",
    L2L,
    SIGMA,
    "scorer_b",
)
AT_ONCE_DISPLACEMENT = _metric(
    "at_once_displacement",
    "at_once_displacement",
    "mean distance of the code of one edit of all three attributes to the codes of the orders",
    L2L,
    LENGTH,
)
AT_ONCE_LPIPS = _metric(
    "at_once_lpips",
    "at_once_lpips",
    "mean perceptual distance of the image of one edit of all three attributes to the orders' images",
    L2L,
    "1",
    "lpips",
)
UNDO_DISPLACEMENT = _metric(
    "undo_displacement", "undo_displacement", "cycle error: distance of w, edited and undone, to w", L2L, LENGTH
)
UNDO_IDENTITY = _metric(
    "undo_identity_distance",
    "undo_identity_recognizer_b",
    "identity distance of the face, edited and undone, to the unedited face",
    L2L,
    "cosine distance",
    "recognizer_b",
)
UNDO_LPIPS = _metric(
    "undo_lpips",
    "undo_lpips",
    "perceptual distance of the image, edited and undone, to the unedited image",
    L2L,
    "1",
    "lpips",
)
