"""Structural similarity of edited and unedited image, on the whole image.

Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004, by
pytorch-msssim, computed while the images were on the device (`pipeline.networks.pairs.structural_similarity`).
"""

from __future__ import annotations

from pipeline.metrics.base import MATCHED, PAPER, Judgement, Measured, Metric


def judge(edits: Measured) -> list[Judgement]:
    """Mean similarity over all images."""
    return [Judgement(edits.mean(edits.columns["ssim"]))] if len(edits) else []


SSIM = Metric(
    name="ssim",
    version=1,
    meaning="mean structural similarity to the unedited image",
    paper="Wang et al., IEEE TIP 2004",
    unit="1",
    better="higher",
    judge=judge,
    protocols=(PAPER, MATCHED),
)
