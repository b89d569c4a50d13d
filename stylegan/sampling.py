"""Random z, keyed by (seed, id)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Z_DIM = 512
BLOCK = 256  # ids drawn from one random stream


def draw_z(seed: int, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """z (N, 512) float32, standard normal. A row depends on (seed, id) alone, ids in any order."""
    ids = np.asarray(ids, dtype=np.int64)
    z = np.empty((len(ids), Z_DIM), dtype=np.float32)
    blocks = ids // BLOCK
    for block in np.unique(blocks):
        inside = blocks == block
        stream = np.random.default_rng([seed, int(block)])
        z[inside] = stream.standard_normal((BLOCK, Z_DIM), dtype=np.float32)[ids[inside] % BLOCK]
    return z
