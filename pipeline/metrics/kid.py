"""KID: kernel distance between the perception vectors of edited and of unedited images.

Binkowski et al., "Demystifying MMD GANs", ICLR 2018: the squared maximum mean discrepancy under the kernel
(x.y / d + 1)^3, averaged over subsets, computed by clean-fid's `kernel_distance` (Parmar et al., CVPR 2022). Lower is
better; 0 means no difference was found, and single values may lie below 0.

>>> import numpy as np
>>> from pipeline.metrics.kid import kernel
>>> kernel(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, -1.0]]))  # (2/2 + 1)^3 and (0/2 + 1)^3
array([[8., 1.]])

KID is unbiased where all images are independent. Images of one face are not: with few faces edited many times, a share
1 / faces of the pairs are of one face, and these pairs, being alike, add to the distance. The less a method edits, the
more alike they are, so doing nothing scores worst: 3.7 / faces on the shipped generator, .11 at 32 faces
(`benchmarks/few_faces.py`). `kid_same_codes` is unbiased for any number of faces, and 0 for doing nothing. KID says how
far a set of images is from the reference, as the papers do, and carries a flag until there are enough faces.

The interval is a bootstrap over the faces of the edited set, with the reference fixed, of the same distance over whole
sets: sums of the kernel between every two faces, and between every face and the reference, make a resample a sum. As
with FID, the interval is the spread of the resamples around their mean, centred on the score.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric
from pipeline.statistics.bootstrap import Estimate, face_rows, keyed_rng, sums_by_face

ROWS = 1024  # images whose kernel is held at a time
# With this many different faces, pairs of one face add little. On the shipped generator doing nothing scores
# 3.7 / faces; edits of attributes score .38, with an interval of half width .42 / sqrt(faces). At 1,000 faces the first
# is a hundredth of the distance and .28 of the half width, .55 of a standard error: a 95 % interval then covers 91 %.
FACES_NEEDED = 1000


@contextmanager
def seeded_numpy(seed: int) -> Iterator[None]:
    """Seeds numpy's global generator, from which clean-fid draws, and restores its state afterwards."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The polynomial kernel of every two vectors: (n, d), (m, d) -> (n, m)."""
    return np.asarray((first @ second.T / first.shape[1] + 1) ** 3)


def kernel_distance(features: np.ndarray, reference: np.ndarray, *, subsets: int, subset_size: int, seed: int) -> float:
    """clean-fid's KID of features (n, d) and reference (m, d). The seed draws the subsets."""
    from cleanfid import fid

    with seeded_numpy(seed):
        return float(fid.kernel_distance(reference, features, num_subsets=subsets, max_subset_size=subset_size))


class FaceKernels:
    """Sums of the kernel: between faces (F, F), of each image with itself by face (F,), to the reference (F,).

    features (N, d), faces (N,): the face id of each image; reference (M, d).
    """

    def __init__(self, features: np.ndarray, faces: np.ndarray, reference: np.ndarray) -> None:
        distinct, rows = face_rows(faces)
        self.number = sums_by_face(np.ones(len(features)), faces)
        self.with_itself = sums_by_face(((features**2).sum(axis=1) / features.shape[1] + 1) ** 3, faces)
        self.between = np.zeros((len(distinct), len(distinct)))
        self.to_reference = np.zeros(len(distinct))
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(len(distinct)))
        sorted_features = features[order]
        for first in range(0, len(order), ROWS):
            chunk = order[first : first + ROWS]
            by_face = np.add.reduceat(kernel(features[chunk], sorted_features), starts, axis=1, dtype=np.float64)
            np.add.at(self.between, rows[chunk], by_face)
            np.add.at(self.to_reference, rows[chunk], kernel(features[chunk], reference).sum(axis=1, dtype=np.float64))
        self.n_reference = len(reference)

    def distances(self, counts: np.ndarray) -> np.ndarray:
        """KID of every resample, without the term of the reference, which is constant: counts (S, F) -> (S,)."""
        number = counts @ self.number
        among = np.einsum("sf,fg,sg->s", counts, self.between, counts, optimize=True) - counts @ self.with_itself
        return np.asarray(
            among / (number * (number - 1)) - 2 * (counts @ self.to_reference) / (number * self.n_reference)
        )


def few_faces(images: np.ndarray) -> str:
    """The flag of a set with images[i] images of face i, (F,); empty where few of its pairs are of one face."""
    total = images.sum()
    of_one_face = (images * (images - 1)).sum() / max(total * (total - 1), 1)
    return (
        f"taken for independent: images of fewer than {FACES_NEEDED:,} faces" if of_one_face > 1 / FACES_NEEDED else ""
    )


def score(edits: EditSet) -> list[Judgement]:
    """The distance of the edited images to the reference."""
    features, reference = edits.features, edits.reference.features
    rng = keyed_rng(edits.bootstrap.seed, "kid", edits.attribute)
    value = kernel_distance(
        features,
        reference,
        subsets=edits.splits.kid_subsets,
        subset_size=edits.splits.kid_subset_size,
        seed=int(rng.integers(2**32)),
    )
    kernels = FaceKernels(features, edits.faces, reference)
    counts = edits.bootstrap.counts(len(kernels.number))
    low, high = edits.bootstrap.centred_interval(value, kernels.distances(counts), len(kernels.number))
    estimate = Estimate(value, low, high, len(kernels.number), len(features))
    return [Judgement(estimate, "perception", few_faces(kernels.number))]


KID = Metric(
    name="kid",
    version=2,
    meaning="kernel distance of perception vectors to unedited images; of few faces it says mostly which they are",
    paper="Binkowski et al., ICLR 2018; Parmar et al., CVPR 2022 (clean-fid)",
    unit="squared discrepancy",
    better="lower",
    score=score,
    roles=("perception",),
    minimum_images=100,
)
