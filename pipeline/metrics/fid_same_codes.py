"""Frechet distance between the perception vectors of edited images and those of the same codes unedited.

`fid` asks whether edited images look like images of the generator; it also grows because the few edited faces are not
the reference's many. Here every edited image is set against the unedited image of its own code, which stands in the
other set once for each of its edits: both sets hold the same faces equally often, so what is left is what editing did,
and a method that changes nothing scores 0. The other set has as many different images as there are faces: far fewer
than a covariance wants, which the flag says.

The interval is a bootstrap over faces that draws both sets together, otherwise as that of `fid`.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric
from pipeline.metrics.fid import IMAGES_PER_DIMENSION, RESAMPLES, FaceMoments, distance_to_root, frechet_distance
from pipeline.statistics import Estimate


def judge(edits: EditSet) -> list[Judgement]:
    """The distance of the edited images to their own unedited ones."""
    edited, unedited = (vectors.astype(np.float64) for vectors in (edits.features, edits.originals))
    value = frechet_distance(
        edited.mean(axis=0), np.cov(edited, rowvar=False), unedited.mean(axis=0), np.cov(unedited, rowvar=False)
    )
    moments, others = FaceMoments(edited, edits.faces), FaceMoments(unedited, edits.faces)
    resampled = []
    for counts in edits.bootstrap.counts(len(moments.number), min(RESAMPLES, edits.bootstrap.samples)):
        mean, covariance = others.moments(counts)
        values, vectors = np.linalg.eigh(covariance)
        root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
        resampled.append(distance_to_root(*moments.moments(counts), mean, covariance, root))
    low, high = edits.bootstrap.centred_interval(value, np.array(resampled))
    needed = IMAGES_PER_DIMENSION * edited.shape[1]
    n_faces = len(moments.number)
    flag = f"{n_faces} unedited images, fewer than {needed}, twice the extractor's dimensions"
    estimate = Estimate(value, low, high, n_faces, len(edited))
    return [Judgement(estimate, "perception", flag if n_faces < needed else "")]


FID_SAME_CODES = Metric(
    name="fid_same_codes",
    version=1,
    meaning="Frechet distance of perception vectors to those of the same codes unedited",
    paper="Heusel et al., NeurIPS 2017; the reference set is ours",
    unit="squared feature distance",
    better="lower",
    judge=judge,
    roles=("perception",),
    per_attribute=False,
)
