"""FID: Frechet distance between the perception vectors of edited and of unedited images.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017,
computed by clean-fid's `frechet_distance` (Parmar et al., CVPR 2022). From 0; lower is better. The name says Inception
by habit; the column `network` names the extractor.

>>> import numpy as np
>>> from pipeline.metrics.fid import frechet_distance
>>> one = np.eye(2)
>>> frechet_distance(np.array([0.0, 0.0]), one, np.array([3.0, 0.0]), one)  # means 3 apart: 3^2
9.0
>>> frechet_distance(np.zeros(2), one, np.zeros(2), 4 * one)  # in each of two dimensions (2 - 1)^2
2.0

With few faces FID mostly says which faces they are, and the less they are edited, the more so: on the shipped generator
doing nothing scores 43 with 4 faces, 6.4 with 32 and 1.4 with 160; edits of attributes score 16, 12 and 12
(`benchmarks/few_faces.py`). So FID carries the flag of `kid` until there are enough faces, and another flag for too few
images.

clean-fid's matrix square root takes most of a minute at Inception's 2048 dimensions. Beyond WIDEST dimensions the same
distance is computed from eigenvalues: of (d, d) matrices, or, where there are fewer images than dimensions, of the
matrix of products between images. Both agree with clean-fid to rounding, and are more exact for singular covariances.

The interval is a bootstrap over the faces of the edited set; the reference is fixed. Every face keeps the number, sum
and sum of outer products of its vectors, so a resample is a sum. There are at most RESAMPLES resamples, because each
needs an eigendecomposition. A resample holds some faces twice and lies farther from the reference than the set itself;
the interval is therefore the spread of the resamples around their mean, centred on the score.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from math import inf

import numpy as np

from pipeline.metrics.base import PAPER, PERCEPTION, EditSet, Judgement, Metric, Reference
from pipeline.metrics.kid import few_faces
from pipeline.statistics.bootstrap import Estimate, face_rows, sums_by_face

RESAMPLES = 100
WIDEST = 512  # dimensions up to which clean-fid takes the square root
IMAGES_PER_DIMENSION = 2  # with fewer, the covariance is mostly noise


def frechet_distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """Frechet distance of two Gaussians with means (d,) and covariances (d, d), by clean-fid; from 0.

    Where clean-fid refuses a complex square root, which singular covariances can give, the distance is computed from
    eigenvalues.
    """
    from cleanfid import fid

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # scipy's, of sqrtm(disp=False)
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        try:
            distance = float(fid.frechet_distance(mean, covariance, other_mean, other_covariance))
        except ValueError:
            distance = float("nan")
    if np.isfinite(distance):
        return distance
    values, vectors = np.linalg.eigh(other_covariance)
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    return distance_to_root(mean, covariance, other_mean, other_covariance, root)


def distance_to_root(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray, root: np.ndarray
) -> float:
    """Frechet distance, given the symmetric root (d, d) of the other covariance: tr sqrt(S R^2) = tr sqrt(R S R)."""
    values = np.linalg.eigvalsh(root @ covariance @ root)
    trace = np.sqrt(values.clip(min=0.0)).sum()
    gap = mean - other_mean
    return float(gap @ gap + np.trace(covariance) + np.trace(other_covariance) - 2 * trace)


class FaceMoments:
    """Number, sum and sum of outer products of the vectors of each face: the moments of any resample follow.

    features (N, d), faces (N,): the face id of each image.
    """

    def __init__(self, features: np.ndarray, faces: np.ndarray) -> None:
        distinct, rows = face_rows(faces)
        features = features.astype(np.float64, copy=False)
        self.number = sums_by_face(np.ones(len(features)), faces)
        self.sum = sums_by_face(features, faces)
        self.outer = np.empty((len(distinct), features.shape[1], features.shape[1]))
        for row, outer in enumerate(self.outer):
            of_face = features[rows == row]
            outer[:] = of_face.T @ of_face

    def moments(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and covariance (d, d) of the set that holds face i counts[i] times; counts (F,)."""
        number = counts @ self.number
        mean = counts @ self.sum / number
        scatter = np.tensordot(counts, self.outer, axes=1) - number * np.outer(mean, mean)
        return mean, scatter / (number - 1)


class FaceProducts:
    """FID of any resample of faces from the products (n, n) between images, for fewer images than dimensions.

    R S R and Y C Y^T / (n - 1) have the same non-zero eigenvalues, where Y (n, d) are the centred vectors, S is their
    covariance, and C = R R is the covariance of the reference.
    """

    def __init__(self, features: np.ndarray, faces: np.ndarray, reference: Reference) -> None:
        distinct, self.rows = face_rows(faces)
        self.faces = len(distinct)
        self.features = features.astype(np.float64)
        self.squares = (self.features**2).sum(axis=1)
        self.other_mean, other_covariance = reference.moments
        self.other_trace = float(np.trace(other_covariance))
        self.products = self.features @ other_covariance @ self.features.T

    def distance(self, counts: np.ndarray) -> float:
        """The distance of the set that holds face i counts[i] times; counts (F,)."""
        weights = counts[self.rows].astype(np.float64)
        total = weights.sum()
        mean = weights @ self.features / total
        to_mean = self.products @ weights / total
        centred = self.products - to_mean[:, None] - to_mean[None, :] + weights @ to_mean / total
        kept = weights > 0
        roots = np.sqrt(weights[kept])
        values = np.linalg.eigvalsh(centred[np.ix_(kept, kept)] * roots[:, None] * roots[None, :] / (total - 1))
        trace = (weights @ self.squares - total * mean @ mean) / (total - 1)
        gap = mean - self.other_mean
        return float(gap @ gap + trace + self.other_trace - 2 * np.sqrt(values.clip(min=0.0)).sum())


def resampled_distances(moments: FaceMoments, reference: Reference, counts: np.ndarray) -> np.ndarray:
    """The distance of every resample: counts (samples, F) -> (samples,)."""
    other_mean, other_covariance = reference.moments
    return np.array(
        [distance_to_root(*moments.moments(row), other_mean, other_covariance, reference.root) for row in counts]
    )


def score(edits: EditSet) -> list[Judgement]:
    """The distance of the edited images to the reference."""
    features, reference = edits.features.astype(np.float64), edits.reference
    faces = len(np.unique(edits.faces))
    counts = edits.bootstrap.counts(faces, min(RESAMPLES, edits.bootstrap.samples))
    if WIDEST < features.shape[1] and len(features) <= features.shape[1]:
        products = FaceProducts(features, edits.faces, reference)
        value, resampled = products.distance(np.ones(faces)), np.array([products.distance(row) for row in counts])
    else:
        moments = FaceMoments(features, edits.faces)
        resampled = resampled_distances(moments, reference, counts)
        if features.shape[1] <= WIDEST:
            value = frechet_distance(features.mean(axis=0), np.cov(features, rowvar=False), *reference.moments)
        else:
            value = float(resampled_distances(moments, reference, np.ones((1, faces)))[0])
    low, high = edits.bootstrap.centred_interval(value, resampled, faces)
    needed = IMAGES_PER_DIMENSION * features.shape[1]
    fewest = min(len(features), len(edits.reference.features))
    few = f"fewer than {needed} images, twice the extractor's dimensions" if fewest < needed else ""
    flag = "; ".join(filter(None, [few, few_faces(sums_by_face(np.ones(len(features)), edits.faces))]))
    return [Judgement(Estimate(value, low, high, faces, len(features)), "perception", flag)]


FID = Metric(
    name="fid",
    version=2,
    meaning="Frechet distance of perception vectors to unedited images; of few faces it says mostly which they are",
    paper="Heusel et al., NeurIPS 2017; Parmar et al., CVPR 2022 (clean-fid)",
    unit="squared feature distance",
    better="lower",
    score=score,
    roles=("perception",),
    protocols=(PAPER, PERCEPTION),
    bounds=(0.0, inf),
)
