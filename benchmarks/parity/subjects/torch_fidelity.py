"""torch-fidelity: FID, KID and inception score of the same vectors, by an independent implementation."""

from __future__ import annotations

from typing import Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import theirs

SIZES = ((20, 10, 64), (60, 10, 192))  # faces, images of each, dimensions
SEED = 3


def metric(name: str) -> Any:
    """Their module of one metric."""
    return theirs(f"torch_fidelity.metric_{name}")


def fid() -> Measured:
    """Our FID."""
    import torch

    from benchmarks.parity.subjects.vectors import moments, sets
    from pipeline.metrics.fid import frechet_distance

    worst, module = 0.0, metric("fid")
    for size in SIZES:
        features, _, others = sets(*size)
        known = [module.fid_features_to_statistics(torch.from_numpy(part)) for part in (features, others)]
        expected = module.fid_statistics_to_metric(*known, False)[module.KEY_METRIC_FID]
        worst = max(worst, abs(frechet_distance(*moments(features), *moments(others)) - expected) / expected)
    return Measured(worst)


def kid() -> Measured:
    """Our KID with the same draws: both draw a subset of the edited images first, then one of the reference."""
    import torch

    from benchmarks.parity.subjects.vectors import sets
    from pipeline.metrics.kid import kernel_distance

    worst, module = 0.0, metric("kid")
    for size in SIZES:
        features, _, others = sets(*size)
        own = kernel_distance(features, others, subsets=10, subset_size=100, seed=SEED)
        options = {"kid_subsets": 10, "kid_subset_size": 100, "rng_seed": SEED, "verbose": False}
        known = module.kid_features_to_metric(torch.from_numpy(features), torch.from_numpy(others), **options)
        expected = known[module.KEY_METRIC_KID_MEAN]
        worst = max(worst, abs(own - expected) / abs(expected))
    return Measured(worst)


def u_statistic() -> Measured:
    """kid_same_codes with one edit a face is Gretton's U-statistic, their mmd2's third estimator."""
    import numpy as np

    from benchmarks.parity.subjects.vectors import sets
    from pipeline.metrics.kid_same_codes import distances, paired_sums

    features, faces, others = sets(50, 1, 64)
    originals, module = others[:50], metric("kid")
    own = float(distances(paired_sums(features, originals, faces), np.ones(50), np.ones((1, 50)))[0])
    kernels = [
        module.kernel_poly(a, b, kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1)
        for a, b in ((features, features), (features, originals), (originals, originals))
    ]
    expected = float(module.mmd2(*kernels, mmd_est="u-statistic"))
    return Measured(abs(own - expected) / abs(expected), f"{own:.6f}", f"{expected:.6f}")


def inception_score(count: int) -> Measured:
    """Score and spread of logits in the same random order, in 10 parts."""
    import numpy as np
    import torch

    from pipeline.metrics.inception_score import inception_score as score_of

    rng, worst, module = np.random.default_rng(63), 0.0, metric("isc")
    for sharpness in (0.5, 2.0, 6.0):
        logits = sharpness * rng.normal(size=(count, 30))
        own = score_of(logits, 10, np.random.default_rng(SEED))
        ordered = torch.from_numpy(logits[np.random.default_rng(SEED).permutation(count)])
        known = module.isc_features_to_metric(ordered, splits=10, shuffle=False)
        expected = (known[module.KEY_METRIC_ISC_MEAN], known[module.KEY_METRIC_ISC_STD])
        worst = max(worst, *(abs(a - b) / expected[0] for a, b in zip(own, expected, strict=True)))
    return Measured(worst)


SUBJECT = Subject(
    checkout=Checkout("torch-fidelity", "toshas/torch-fidelity", "5e211a9"),
    comparisons=(
        Comparison("fid", "FID in 64 and 192 dimensions", "2 sets", fid, 1e-6, "relative"),
        Comparison("kid", "KID of 10 subsets of 100, same draws", "2 sets", kid, 1e-9, "relative"),
        Comparison(
            "kid_same_codes",
            "kid_same_codes with one edit a face: mmd2's U-statistic",
            "50 faces",
            u_statistic,
            1e-9,
            "relative",
        ),
        Comparison(
            "inception_score",
            "inception score and its spread, same order, 10 parts of equal size",
            "3 x 500",
            lambda: inception_score(500),
            1e-9,
            "relative",
        ),
        Comparison(
            "inception_score_unequal",
            "the same where the images do not divide into equal parts",
            "3 x 503",
            lambda: inception_score(503),
            1e-9,
            "relative",
        ),
    ),
)
