"""Identity distance: how far an edit moves the person, by features of the face.

The cosine distance, in [0, 2], between the features of the edited image and of the same face unedited, averaged over
the images on which the detector finds a face. 0 is the same person.

Khodadadeh et al., "Latent to Latent", WACV 2022, use features "extracted by MTCNN", because that network is not in
their training loss. The paper does not say which tensor of MTCNN; ours is the 256-wide penultimate layer of the output
net on the detected box. Two recognizers, which tell persons apart where MTCNN finds faces, are scored as well:
recognizer B only judges; recognizer A is in the training loss of L2L, and its scores are flagged.

>>> import numpy as np
>>> from pipeline.metrics.base import Measured
>>> from pipeline.metrics.identity import IDENTITY_DISTANCE
>>> columns = {
...     "face_id": np.array([7, 8, 9]),
...     "detected": np.array([True, True, False]),
...     "identity_mtcnn": np.array([0.1, 0.3, 2.0]),
...     "identity_recognizer_b": np.array([0.2, 0.4, 2.0]),
...     "identity_recognizer_a": np.array([0.0, 0.2, 2.0]),
... }
>>> for score in IDENTITY_DISTANCE.score(Measured(method="l2l", attribute="age", columns=columns)):
...     print(score.role, round(score.estimate.value, 3), score.flag)
mtcnn 0.2
recognizer_b 0.3
recognizer_a 0.1 recognizer A is in the training loss of l2l
"""

from __future__ import annotations

from pipeline.metrics.base import MATCHED, PAPER, Judgement, Measured, Metric, Samples

COLUMNS = {
    "mtcnn": "identity_mtcnn",
    "recognizer_b": "identity_recognizer_b",
    "recognizer_a": "identity_recognizer_a",
}
TRAINED_ON = "recognizer A is in the training loss of l2l"


def samples(edits: Measured) -> list[Samples]:
    """Per network, the distance of every image on which the detector finds a face; empty if there is no image."""
    if not len(edits):
        return []
    detected = edits.columns["detected"].astype(bool)
    faces = edits.faces[detected]
    return [Samples(edits.columns[column][detected], faces, role) for role, column in COLUMNS.items()]


def score(edits: Measured) -> list[Judgement]:
    """Per network, the mean distance over the images on which the detector finds a face.

    The metric `detected_share` says which share of the images that is.
    """
    return [
        Judgement(part.estimate(edits.bootstrap), part.role, TRAINED_ON if part.role == "recognizer_a" else "")
        for part in samples(edits)
    ]


IDENTITY_DISTANCE = Metric(
    name="identity_distance",
    version=1,
    meaning="mean cosine distance of face features to the unedited image, over detected images",
    paper="Khodadadeh et al., WACV 2022",
    unit="cosine distance",
    better="lower",
    score=score,
    roles=tuple(COLUMNS),
    protocols=(PAPER, MATCHED),
    samples=samples,
    bounds=(0.0, 2.0),
    noise=2e-4,  # MTCNN's differ by up to 1.3e-4, since its box does
)
