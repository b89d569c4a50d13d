"""clean-fid: its distances by a checkout's own functions, which our metrics call from the installed package."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import theirs
from benchmarks.parity.measures import largest

if TYPE_CHECKING:
    import numpy as np

SIZES = ((20, 10, 64), (60, 10, 192), (3, 1, 64))  # faces, images of each, dimensions
WIDE = (30, 10, 600)
FRAME, SMALLER = 96, 64  # pixels


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Their distance of two sets of vectors."""
    from benchmarks.parity.subjects.vectors import moments

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return float(theirs("cleanfid.fid").frechet_distance(*moments(first), *moments(second)))


def fid() -> Measured:
    """Our distance, and the one of per-face sums and the reference's root, which resamples use."""
    import numpy as np

    from benchmarks.parity.subjects.vectors import moments, reference_of, sets
    from pipeline.metrics.fid import FaceMoments, frechet_distance, resampled_distances

    worst = 0.0
    for size in SIZES:
        features, faces, others = sets(*size)
        expected = frechet(features, others)
        own = frechet_distance(*moments(features), *moments(others))
        summed = resampled_distances(FaceMoments(features, faces), reference_of(others), np.ones((1, size[0])))[0]
        worst = max(worst, abs(own - expected) / expected, abs(float(summed) - expected) / expected)
    return Measured(worst)


def wide() -> Measured:
    """Our distance by products of fewer images than dimensions."""
    import numpy as np

    from benchmarks.parity.subjects.vectors import reference_of, sets
    from pipeline.metrics.fid import FaceProducts

    features, faces, others = sets(*WIDE, reference=1200)
    expected = frechet(features, others)
    own = FaceProducts(features, faces, reference_of(others)).distance(np.ones(WIDE[0]))
    return Measured(abs(own - expected) / expected, f"{own:.6g}", f"{expected:.6g}")


def same_codes() -> Measured:
    """Edited images beside their faces' unedited ones, repeated, with equal and unequal numbers per face."""
    import numpy as np

    from benchmarks.parity.subjects.vectors import sets
    from pipeline.metrics.fid_same_codes import PairedMoments

    worst = 0.0
    for unequal in (False, True):
        features, faces, others = sets(24, 10, 64)
        kept = np.arange(len(faces)) % 10 <= faces % 10 if unequal else slice(None)
        features, faces = features[kept], faces[kept]
        originals = others[faces]
        expected = frechet(features, originals)
        own = PairedMoments(features, originals, faces).distance(np.ones(24))
        worst = max(worst, abs(own - expected) / expected)
    return Measured(worst)


def kid() -> Measured:
    """Their kernel distance with NumPy's generator at the same seed."""
    import numpy as np

    from benchmarks.parity.subjects.vectors import sets
    from pipeline.metrics.kid import kernel_distance

    worst = 0.0
    for faces, images, width in SIZES[:2]:
        features, _, others = sets(faces, images, width)
        for seed in (1, 2):
            own = kernel_distance(features, others, subsets=10, subset_size=100, seed=seed)
            np.random.seed(seed)
            expected = theirs("cleanfid.fid").kernel_distance(others, features, 10, 100)
            worst = max(worst, largest(np.float64(own), expected))
    return Measured(worst)


def resized() -> Measured:
    """Our antialiased bicubic beside their 'clean' resizer of one size, in levels of 255."""
    import numpy as np

    from pipeline.images import from_uint8, resize

    rng = np.random.default_rng(62)
    pixels = rng.integers(0, 256, size=(4, FRAME, FRAME, 3), dtype=np.uint8)
    resizer: Any = theirs("cleanfid.resize").make_resizer("PIL", False, "bicubic", (SMALLER, SMALLER))
    expected = np.stack([resizer(picture) for picture in pixels])
    own = (resize(from_uint8(pixels), SMALLER).permute(0, 2, 3, 1).numpy() + 1) * 127.5
    return Measured(largest(own, expected))


SUBJECT = Subject(
    checkout=Checkout("clean-fid", "GaParmar/clean-fid", "e88c4d6"),
    comparisons=(
        Comparison(
            "fid", "FID in 64 and 192 dimensions, whole and from per-face sums", "3 sets", fid, 1e-6, "relative"
        ),
        Comparison(
            "fid_wide", "FID of 300 images in 600 dimensions, by products of images", "1 set", wide, 1e-6, "relative"
        ),
        Comparison(
            "fid_same_codes",
            "fid_same_codes beside their distance of the repeated rows",
            "2 sets",
            same_codes,
            1e-4,
            "relative",
        ),
        Comparison("kid", "KID of 10 subsets of 100, same seed", "2 sets x 2", kid, 1e-12),
        Comparison(
            "resize", f"'clean' resize from {FRAME} to {SMALLER} px, of noise", "4 images", resized, 0.05, "of 255"
        ),
    ),
    first=("cleanfid.fid", "cleanfid.resize"),
)
