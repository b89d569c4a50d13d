"""Random z, where each row depends only on (seed, id)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Z_DIM = 512
BLOCK = 256  # ids drawn from one random stream


def draw_z(seed: int, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Standard normal z (N, 512), float32, for the ids (N,) in any order.

    Each row depends only on its (seed, id), so shards and workers can draw any ids.

    >>> bool((draw_z(0, np.array([7, 3]))[1] == draw_z(0, np.array([3]))[0]).all())
    True
    """
    ids = np.asarray(ids, dtype=np.int64)
    z = np.empty((len(ids), Z_DIM), dtype=np.float32)
    blocks = ids // BLOCK
    for block in np.unique(blocks):
        inside = blocks == block
        stream = np.random.default_rng([seed, int(block)])
        z[inside] = stream.standard_normal((BLOCK, Z_DIM), dtype=np.float32)[ids[inside] % BLOCK]
    return z
