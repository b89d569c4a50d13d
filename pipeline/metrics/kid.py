"""KID: kernel distance between the perception vectors of edited and of unedited images.

Binkowski et al., "Demystifying MMD GANs", ICLR 2018: the squared maximum mean discrepancy under the kernel
(x.y / d + 1)^3, averaged over subsets: clean-fid's `kernel_distance` (Parmar et al., CVPR 2022), of the same subsets.
Lower is better; 0 means no difference was found, and single values may lie below 0.

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

from itertools import combinations_with_replacement

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric
from pipeline.statistics.bootstrap import Estimate, face_rows, keyed_rng, sums_by_face

TILE = 512  # images in each direction whose kernel is held at a time: 1 MiB, which stays in the processor's cache
# With this many different faces, pairs of one face add little. On the shipped generator doing nothing scores
# 3.7 / faces; edits of attributes score .38, with an interval of half width .42 / sqrt(faces). At 1,000 faces the first
# is a hundredth of the distance and .28 of the half width, .55 of a standard error: a 95 % interval then covers 91 %.
FACES_NEEDED = 1000


def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The polynomial kernel of every two vectors: (n, d), (m, d) -> (n, m)."""
    values = first @ second.T
    values /= first.shape[1]
    values += 1
    cubes = values * values
    cubes *= values
    return np.asarray(cubes)


def tiles(count: int) -> list[slice]:
    """Slices of at most TILE that cover `count` images."""
    return [slice(start, start + TILE) for start in range(0, count, TILE)]


def sum_apart(features: np.ndarray) -> float:
    """The kernel summed over all ordered pairs of different images of features (n, d)."""
    total = 0.0
    for rows, columns in combinations_with_replacement(tiles(len(features)), 2):
        values = kernel(features[rows], features[columns])
        same = rows == columns
        total += float(values.sum() - np.trace(values)) if same else 2.0 * float(values.sum())
    return total


def sums_to(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The kernel of each image of features (n, d) summed over reference (m, d), (n,) float64."""
    sums = np.zeros(len(features))
    for rows in tiles(len(features)):
        for columns in tiles(len(reference)):
            sums[rows] += kernel(features[rows], reference[columns]).sum(axis=1)
    return sums


def between_faces(features: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The kernel of features (N, d) with face ids (N,) summed between every two faces, (F, F) float64."""
    distinct, rows = face_rows(faces)
    order = np.argsort(rows, kind="stable")
    ordered, face = features[order], rows[order]
    sums = np.zeros((len(distinct), len(distinct)))
    for first, second in combinations_with_replacement(tiles(len(order)), 2):
        (upper, starts), (lower, ends) = (np.unique(face[part], return_index=True) for part in (first, second))
        values = np.add.reduceat(kernel(ordered[first], ordered[second]), ends, axis=1)
        values = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
        sums[np.ix_(upper, lower)] += values
        if first != second:
            sums[np.ix_(lower, upper)] += values.T
    return sums


def kernel_distance(
    features: np.ndarray,
    reference: np.ndarray,
    *,
    subsets: int,
    subset_size: int,
    seed: int,
    kept: dict[tuple[int, ...], float] | None = None,
) -> float:
    """clean-fid's KID of features (n, d) and reference (m, d), of the subsets that it draws with NumPy at a seed.

    Its sums are over whole matrices; here each pair of a set is summed once, tile by tile. `kept` are sums over subsets
    of this reference from calls before; new ones are added. Sets of equal size draw the same subsets of it.
    """
    draw, size = np.random.RandomState(seed), min(len(features), len(reference), subset_size)
    kept = {} if kept is None else kept
    total = 0.0
    for subset in range(subsets):
        edited = features[draw.choice(len(features), size, replace=False)]
        unedited = reference[draw.choice(len(reference), size, replace=False)]
        drawn = (seed, len(features), size, subset)
        if drawn not in kept:
            kept[drawn] = sum_apart(unedited)
        total += (sum_apart(edited) + kept[drawn]) / (size - 1)
        total -= 2 * float(sums_to(edited, unedited).sum()) / size
    return total / subsets / size


class FaceKernels:
    """Sums of the kernel: between faces (F, F), of each image with itself by face (F,), to the reference (F,).

    features (N, d), faces (N,): the face id of each image; reference (M, d).
    """

    def __init__(self, features: np.ndarray, faces: np.ndarray, reference: np.ndarray) -> None:
        self.number = sums_by_face(np.ones(len(features)), faces)
        self.with_itself = sums_by_face(((features**2).sum(axis=1) / features.shape[1] + 1) ** 3, faces)
        self.between = between_faces(features, faces)
        self.to_reference = sums_by_face(sums_to(features, reference), faces)
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
        kept=edits.reference.kernel_sums,
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
