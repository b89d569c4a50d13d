"""Frechet distance between the perception vectors of edited and of unedited images.

Of few faces it mostly says which faces they are, and more so the less they are edited: on the shipped generator doing
nothing scores 43 with 4 faces, 6.4 with 32 and 1.4 with 160, edits of attributes 16, 12 and 12. So it carries the flag
of `kid` until there are enough faces, besides one of too few images (`benchmarks/few_faces.py`).

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017, by
clean-fid's `frechet_distance`. The name says Inception by habit; the `network` column says what the extractor was.

clean-fid's square root of a matrix takes most of a minute at Inception's 2048 dimensions. Beyond WIDEST the same
distance is computed from eigenvalues instead: of (d, d) matrices, or, of fewer images than dimensions, of the images'
products with each other. Both agree with clean-fid's to rounding, and where covariances are singular they are the more
exact.

The interval is a bootstrap over the faces of the edited set, the reference held fixed: every face keeps the number,
sum and sum of outer products of its vectors, so a resample is an addition. 100 resamples (at most), because each
takes an eigendecomposition. A resampled set holds some faces twice and is farther from the reference than the set
itself; the interval is therefore the spread of the resamples around their own mean, laid around the score.
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
    """clean-fid's distance of two Gaussians, means (d,), covariances (d, d); ours where its square root fails.

    The root of a product of singular covariances can come out complex, which clean-fid refuses.
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
    """The same distance with the other covariance's symmetric root given: tr sqrt(S R^2) = tr sqrt(R S R)."""
    values = np.linalg.eigvalsh(root @ covariance @ root)
    trace = np.sqrt(values.clip(min=0.0)).sum()
    gap = mean - other_mean
    return float(gap @ gap + np.trace(covariance) + np.trace(other_covariance) - 2 * trace)


class FaceMoments:
    """Per face the number, sum and sum of outer products of its vectors, from which any resample's moments follow."""

    def __init__(self, features: np.ndarray, faces: np.ndarray) -> None:
        distinct, rows = face_rows(faces)
        features = features.astype(np.float64, copy=False)
        self.number = sums_by_face(np.ones(len(features)), faces)
        self.sum = sums_by_face(features, faces)
        self.outer = np.empty((len(distinct), features.shape[1], features.shape[1]))
        for row, outer in enumerate(self.outer):
            own = features[rows == row]
            outer[:] = own.T @ own

    def moments(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and covariance (d, d) of the set that holds each face so many times; counts (F,)."""
        number = counts @ self.number
        mean = counts @ self.sum / number
        scatter = np.tensordot(counts, self.outer, axes=1) - number * np.outer(mean, mean)
        return mean, scatter / (number - 1)


class FaceProducts:
    """The distance of any resample of faces, by the products (n, n) of their images: for fewer images than dimensions.

    The eigenvalues of R S R that are not zero are those of Y C Y^T / (n - 1), where Y (n, d) are the centred vectors
    of which S is the covariance, and C = R R is the reference's.
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
        """Of the set that holds each face so many times; counts (F,)."""
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
    """The distance of every resample, counts (samples, F) -> (samples,)."""
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
    meaning="Frechet distance of perception vectors to those of unedited images; of few faces mostly which they are",
    paper="Heusel et al., NeurIPS 2017; Parmar et al., CVPR 2022 (clean-fid)",
    unit="squared feature distance",
    better="lower",
    score=score,
    roles=("perception",),
    protocols=(PAPER, PERCEPTION),
    bounds=(0.0, inf),
)
