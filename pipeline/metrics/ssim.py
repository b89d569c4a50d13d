"""SSIM: structural similarity of an edited image and the same face unedited, over the whole image.

Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004, computed by
pytorch-msssim (`pipeline.networks.pairs.structural_similarity`). 1 is the same image; the range is [-1, 1].

The score is the mean over images:

>>> import numpy as np
>>> from pipeline.metrics.base import Measured
>>> from pipeline.metrics.ssim import SSIM
>>> columns = {"face_id": np.array([7, 8]), "ssim": np.array([1.0, 0.5])}
>>> [score] = SSIM.score(Measured(method="noop", attribute="age", columns=columns))
>>> score.estimate.value
0.75
"""

from __future__ import annotations

from pipeline.metrics.base import MATCHED, PAPER, PERCEPTION, Judgement, Measured, Metric, Samples


def samples(edits: Measured) -> list[Samples]:
    """The similarity of every image; an empty list if there is no image."""
    return [Samples(edits.columns["ssim"], edits.faces)] if len(edits) else []


def score(edits: Measured) -> list[Judgement]:
    """Mean similarity over all images."""
    return [Judgement(part.estimate(edits.bootstrap)) for part in samples(edits)]


SSIM = Metric(
    name="ssim",
    version=1,
    meaning="mean structural similarity to the unedited image",
    paper="Wang et al., IEEE TIP 2004",
    unit="1",
    better="higher",
    score=score,
    protocols=(PAPER, MATCHED, PERCEPTION),
    samples=samples,
    bounds=(-1.0, 1.0),
)
