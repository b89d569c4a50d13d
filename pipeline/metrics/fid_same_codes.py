"""FID to the same codes: Frechet distance of perception vectors of edited images to the same codes unedited.

`fid` asks whether edited images look like images of the generator; it also grows because the few edited faces differ
from the many of the reference. Here every edited image is compared with the unedited image of its own code, which the
other set holds once for each of its edits. Both sets hold the same faces equally often, so what is left is the edit,
and a method that changes nothing scores 0. From 0; lower is better. The distance is Heusel et al., NeurIPS 2017; the
reference set is ours.

Edited vectors that are all moved by 3 in the same direction are 3^2 away:

>>> import numpy as np
>>> from pipeline.metrics.fid_same_codes import PairedMoments
>>> unedited, faces = np.array([[0.0, 1.0], [2.0, 0.0], [4.0, 5.0]]), np.array([7, 8, 9])
>>> PairedMoments(unedited + [3.0, 0.0], unedited, faces).distance(np.ones(3))
9.0

The other set has as many different images as there are faces, which is far fewer than a covariance needs; the flag says
so. With fewer faces the distance is larger: edits of attributes on the shipped generator, in 128 dimensions, score 38
with 4 faces, 15 with 32 and 12 with 160 (`benchmarks/few_faces.py`).

The interval is a bootstrap over faces that draws both sets together, and is otherwise the interval of `fid`.

Let Y be the unedited images, one a row, minus their mean, each row scaled by the root of (how often the set holds the
image / (size of the set - 1)). Their covariance is Y^T Y, and tr sqrt(S Y^T Y) = tr sqrt(Y S Y^T): a matrix as wide as
the number of faces, made from products of edited with unedited vectors. So a resample is cheap in any number of
dimensions.
"""

from __future__ import annotations

from math import inf

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric
from pipeline.metrics.fid import IMAGES_PER_DIMENSION, RESAMPLES
from pipeline.statistics.bootstrap import Estimate, sums_by_face


class PairedMoments:
    """Sums and products by face, from which the distance of any resample of F faces follows.

    features (N, d): of the edited images; originals (N, d): of the same face unedited; faces (N,): face ids.
    """

    def __init__(self, features: np.ndarray, originals: np.ndarray, faces: np.ndarray) -> None:
        edited = features.astype(np.float64)
        _, first, self.rows = np.unique(faces, return_index=True, return_inverse=True)
        self.unedited = originals[first].astype(np.float64)
        self.number = sums_by_face(np.ones(len(edited)), faces)
        self.sums = sums_by_face(edited, faces)
        self.squares = sums_by_face((edited**2).sum(axis=1), faces)
        self.products = edited @ self.unedited.T

    def distance(self, counts: np.ndarray) -> float:
        """The distance of the two sets that hold face i, edited and unedited, counts[i] times; counts (F,)."""
        times, weight = counts[self.rows], counts * self.number
        total = weight.sum()
        mean, other = counts @ self.sums / total, weight @ self.unedited / total
        scatter = counts @ self.squares + weight @ (self.unedited**2).sum(axis=1)
        traces = (scatter - total * (mean @ mean + other @ other)) / (total - 1)
        centred = self.products - (self.products @ weight / total)[:, None]
        centred -= times @ centred / total
        scale = np.sqrt(weight) / (total - 1)
        values = np.linalg.eigvalsh(scale[:, None] * ((times[:, None] * centred).T @ centred) * scale)
        gap = mean - other
        return float(gap @ gap + traces - 2 * np.sqrt(values.clip(min=0.0)).sum())


def score(edits: EditSet) -> list[Judgement]:
    """The distance of the edited images to the unedited images of the same codes."""
    moments = PairedMoments(edits.features, edits.originals, edits.faces)
    n_faces, width = len(moments.number), edits.features.shape[1]
    value = moments.distance(np.ones(n_faces))
    counts = edits.bootstrap.counts(n_faces, min(RESAMPLES, edits.bootstrap.samples))
    resampled = np.array([moments.distance(row) for row in counts])
    low, high = edits.bootstrap.centred_interval(value, resampled, n_faces)
    needed = IMAGES_PER_DIMENSION * width
    flag = f"{n_faces} unedited images, fewer than {needed}, twice the extractor's dimensions"
    estimate = Estimate(value, low, high, n_faces, len(edits.features))
    return [Judgement(estimate, "perception", flag if n_faces < needed else "")]


FID_SAME_CODES = Metric(
    name="fid_same_codes",
    version=2,
    meaning="Frechet distance of perception vectors to the same codes unedited",
    paper="Heusel et al., NeurIPS 2017; the reference set is ours",
    unit="squared feature distance",
    better="lower",
    score=score,
    roles=("perception",),
    per_attribute=False,
    bounds=(0.0, inf),
)
