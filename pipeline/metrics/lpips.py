"""LPIPS: perceptual distance between an edited image and the same face unedited.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018: squared differences
of channel-normalised activations, averaged over positions and summed over layers, computed by the lpips package.
0 is the same image; there is no upper limit. The domain chooses the network (`Domain.perceptual_distance`), and the
scores name it in the column `network`:

- `synthface`: the domain's perception net as trunk (`pipeline.networks.pairs`). The package's learnt heads belong to
  the package's trunks and are left out (its `lpips=False`). Distances with and without heads are not comparable;
- `ffhq`: the package's AlexNet with its heads (v0.1), on images in [-1, 1] at the generator's resolution.

The score is the mean over images:

>>> import numpy as np
>>> from pipeline.metrics.base import Measured
>>> from pipeline.metrics.lpips import LPIPS
>>> columns = {"face_id": np.array([7, 7, 8]), "lpips": np.array([0.0, 0.2, 0.4])}
>>> [score] = LPIPS.score(Measured(method="noop", attribute="age", columns=columns))
>>> score.estimate.value, score.estimate.n_faces, score.estimate.n_images
(0.2, 2, 3)
"""

from __future__ import annotations

from math import inf

from pipeline.metrics.base import MATCHED, PAPER, PERCEPTION, Judgement, Measured, Metric, Samples


def samples(edits: Measured) -> list[Samples]:
    """The distance of every image; an empty list if there is no image."""
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
