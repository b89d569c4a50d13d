"""Frechet distance between the perception vectors of edited images and those of the same codes unedited.

`fid` asks whether edited images look like images of the generator; it also grows because the few edited faces are not
the reference's many. Here every edited image is set against the unedited image of its own code, which stands in the
other set once for each of its edits: both sets hold the same faces equally often, so what is left is what editing did,
and a method that changes nothing scores 0. The other set has as many different images as there are faces: far fewer
than a covariance wants, which the flag says. With fewer faces it is larger: of edits of attributes on the shipped
generator, in 128 dimensions, 38 with 4 faces, 15 with 32 and 12 with 160 (`benchmarks/few_faces.py`).

The interval is a bootstrap over faces that draws both sets together, otherwise as that of `fid`.

With Y the unedited images, as rows less their mean and scaled by the root of how often each stands in the set over the
set's size less one, their covariance is Y^T Y, and tr sqrt(S Y^T Y) = tr sqrt(Y S Y^T): a matrix as wide as there are
faces, made from the products of edited with unedited vectors alone. So a resample is cheap in any number of dimensions.
"""

from __future__ import annotations

from math import inf

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric
from pipeline.metrics.fid import IMAGES_PER_DIMENSION, RESAMPLES
from pipeline.statistics.bootstrap import Estimate, sums_by_face


class PairedMoments:
    """What the distance of any resample of F faces is made of.

    features: (N, d) of the edited images, originals: (N, d) of each one's face unedited, faces: (N,).
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
        """The distance of the sets that hold each face, edited and unedited, so many times; counts (F,)."""
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
    """The distance of the edited images to their own unedited ones."""
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
    meaning="Frechet distance of perception vectors to those of the same codes unedited",
    paper="Heusel et al., NeurIPS 2017; the reference set is ours",
    unit="squared feature distance",
    better="lower",
    score=score,
    roles=("perception",),
    per_attribute=False,
    bounds=(0.0, inf),
)
