"""Perceptual distance of edited and unedited image.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018: squared differences
of channel-normalised activations, averaged over positions and summed over layers, by the lpips package. Which network
that is, the domain says (`Domain.perceptual_distance`), and the `network` column:

- `synthface`: its perception net as trunk (`pipeline.networks.pairs`). The package's learnt heads belong to its own
  trunks and are left out (its `lpips=False`); numbers with and without heads do not compare;
- `ffhq`: the package's own AlexNet with its heads (v0.1), images in [-1, 1] at the generator's resolution.
"""

from __future__ import annotations

from math import inf

from pipeline.metrics.base import MATCHED, PAPER, PERCEPTION, Judgement, Measured, Metric, Samples


def samples(edits: Measured) -> list[Samples]:
    """Every image's distance; none where there is no image."""
    return [Samples(edits.columns["lpips"], edits.faces, "lpips")] if len(edits) else []


def score(edits: Measured) -> list[Judgement]:
    """Mean distance over all images."""
    return [Judgement(part.estimate(edits.bootstrap), part.role) for part in samples(edits)]


LPIPS = Metric(
    name="lpips",
    version=1,
    meaning="mean perceptual distance to the unedited image",
    paper="Zhang et al., CVPR 2018",
    unit="1",
    better="lower",
    score=score,
    roles=("lpips",),
    protocols=(PAPER, MATCHED, PERCEPTION),
    samples=samples,
    bounds=(0.0, inf),
)
