"""KID to the same codes: kernel distance of perception vectors of edited images to the same codes unedited.

The unbiased squared maximum mean discrepancy of `kid`, with the same kernel, over whole sets. Images of one face are
not independent, so only pairs of different faces count, within a set and between the two. The estimate is therefore
unbiased although both sets hold the same faces, for any number of faces, and a method that changes nothing scores 0.
Lower is better; single values may lie below 0. The papers' claims about image quality are tested with this metric.
Where every face is edited once, it is the U-statistic of Gretton et al., "A Kernel Two-Sample Test", JMLR 2012,
equation 4. The reference set is ours.

>>> import numpy as np
>>> from pipeline.metrics.kid_same_codes import distances, paired_sums
>>> unedited, faces = np.array([[1.0], [2.0]]), np.array([7, 8])
>>> sums = paired_sums(unedited + 1, unedited, faces)
>>> float(sums[0, 1])  # of (x y + 1)^3: 2 by 3 and 1 by 2, less 2 by 2 and 1 by 3
181.0
>>> distances(sums, np.ones(2), np.ones((1, 2)))
array([181.])
>>> distances(paired_sums(unedited, unedited, faces), np.ones(2), np.ones((1, 2)))  # nothing was edited
array([0.])

The interval is a bootstrap over faces that draws both sets together, and is otherwise the interval of `kid`.
"""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import EditSet, Judgement, Metric
from pipeline.metrics.kid import between_faces, kernel
from pipeline.statistics.bootstrap import Estimate, sums_by_face


def paired_sums(edited: np.ndarray, originals: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Sums of k(x, x') + k(y, y') - k(x, y') - k(y, x') between every two faces, (F, F) float64.

    edited (N, d): x of each image; originals (N, d): y of each, the same for all images of a face; faces (N,). So
    only the kernel between edited images is of every two images.
    """
    _, first, rows = np.unique(faces, return_index=True, return_inverse=True)
    images, unedited, number = edited.astype(np.float64), originals[first].astype(np.float64), np.bincount(rows)
    crossed = sums_by_face(kernel(images, unedited), faces) * number
    return between_faces(images, faces) + np.outer(number, number) * kernel(unedited, unedited) - crossed - crossed.T


def distances(sums: np.ndarray, number: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The distance of every resample: counts (S, F), how often each face is drawn -> (S,).

    sums (F, F): as `paired_sums`; number (F,): images of each face. A face that is drawn
    twice makes no pair with itself. NaN where there is no pair, as with one face.
    """
    apart = sums * (1 - np.eye(len(sums)))
    pairs = np.outer(number, number) * (1 - np.eye(len(sums)))
    return np.asarray(
        np.einsum("sf,fg,sg->s", counts, apart, counts, optimize=True)
        / np.einsum("sf,fg,sg->s", counts, pairs, counts, optimize=True)
    )


def score(edits: EditSet) -> list[Judgement]:
    """The distance of the edited images to the unedited images of the same codes."""
    sums = paired_sums(edits.features, edits.originals, edits.faces)
    number = sums_by_face(np.ones(len(edits)), edits.faces)
    with np.errstate(invalid="ignore"):  # one face makes no pair
        value = float(distances(sums, number, np.ones((1, len(number))))[0])
        resampled = distances(sums, number, edits.bootstrap.counts(len(number)))
    low, high = edits.bootstrap.centred_interval(value, resampled, len(number))
    return [Judgement(Estimate(value, low, high, len(number), len(edits)), "perception")]


KID_SAME_CODES = Metric(
    name="kid_same_codes",
    version=1,
    meaning="kernel distance of perception vectors to the same codes unedited; unbiased, 0 for doing nothing",
    paper="Binkowski et al., ICLR 2018; Gretton et al., JMLR 2012; the reference set is ours",
    unit="squared discrepancy",
    better="lower",
    score=score,
    roles=("perception",),
    minimum_images=100,
    per_attribute=False,
)
