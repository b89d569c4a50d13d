"""Structural similarity of edited and unedited image, on the whole image.

Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004, by
pytorch-msssim, computed while the images were on the device (`pipeline.networks.pairs.structural_similarity`).
"""

from __future__ import annotations

from pipeline.metrics.base import MATCHED, PAPER, PERCEPTION, Judgement, Measured, Metric, Samples


def samples(edits: Measured) -> list[Samples]:
    """Every image's similarity; none where there is no image."""
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
