"""How far an edit moves the person: cosine distance of face features, edited against unedited image.

Khodadadeh et al., "Latent to Latent", WACV 2022, average the cosine distance of features "extracted by MTCNN", chosen
because the network is not the one in their training loss. Which tensor of MTCNN that is they do not say; ours is
the output net's 256-wide penultimate layer on the detected box. Beside it stand two recognizers, which know
persons where MTCNN knows faces: B judges only; A is in L2L's training loss, and its rows say so.
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
    """The images on which the detector finds a face, one distance per network; none where there is no image."""
    if not len(edits):
        return []
    detected = edits.columns["detected"].astype(bool)
    faces = edits.faces[detected]
    return [Samples(edits.columns[column][detected], faces, role) for role, column in COLUMNS.items()]


def score(edits: Measured) -> list[Judgement]:
    """Mean distance over the images on which the detector finds a face, one judgement per network.

    How many images that leaves out is `detected_share`.
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
