"""GANSpace: `IPCAEstimator`, fed as `decomposition.compute` feeds it, beside our exact components."""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache
from typing import Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import stand_in, theirs
from benchmarks.parity.measures import COSINE, RELATIVE, cosines, relative

SAMPLES, BATCH, COMPONENTS, FIRST = 20_000, 2_000, 80, 20


@lru_cache(maxsize=1)
def both() -> tuple[Any, Any, Any, Any]:
    """Our components and standard deviations, then theirs, of the embedded generator's codes."""
    import numpy as np
    import torch

    from pipeline.domains import base
    from pipeline.methods.ganspace import moments, principal

    generator = base.load("synthface", "cpu").generator
    z = torch.randn(SAMPLES, generator.z_dim, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        w = generator.map_to_w(z)
    variances, components = principal(moments(w.split(4096))[1])
    stand_in("fbpca")
    estimator = theirs("estimators").IPCAEstimator(COMPONENTS)
    with contextlib.redirect_stdout(io.StringIO()):
        for part in w.numpy().astype(np.float32).reshape(-1, BATCH, w.shape[1]):
            estimator.fit_partial(part)
    known, deviations, _ = estimator.get_components()
    return components[:COMPONENTS], variances[:COMPONENTS].sqrt(), known, deviations


def components(first: int, stop: int) -> Measured:
    """Components `first` to `stop` - 1."""
    own, _, known, _ = both()
    return Measured(1 - float(cosines(own[first:stop], known[first:stop]).min()))


def deviations() -> Measured:
    """Standard deviations along the first components (theirs divides by N - 1, ours by N)."""
    _, own, _, known = both()
    return Measured(relative(own[:FIRST] * (SAMPLES / (SAMPLES - 1)) ** 0.5, known[:FIRST]))


SUBJECT = Subject(
    checkout=Checkout("ganspace", "harskish/ganspace", "5a704c4"),
    comparisons=(
        Comparison(
            "ipca",
            f"IPCA as they call it (batches of {BATCH:,}, {COMPONENTS} components): the first {FIRST}",
            f"{SAMPLES:,} codes",
            lambda: components(0, FIRST),
            1e-4,
            COSINE,
        ),
        Comparison("deviations", f"standard deviations along the first {FIRST}", "20", deviations, 1e-3, RELATIVE),
        Comparison(
            "ipca_last",
            f"the last {COMPONENTS - FIRST} components",
            f"{SAMPLES:,} codes",
            lambda: components(FIRST, COMPONENTS),
            unit=COSINE,
            declared="ours are the covariance's own; their incremental ones depend on the batches (ganspace)",
        ),
    ),
    shims=("an empty module stands for fbpca where that is not installed",),
)
