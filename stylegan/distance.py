"""Mean distance between two random w: the unit in which edits are measured."""

from __future__ import annotations

import torch

from stylegan.generator import Generator

SEED = 7
CHUNK = 4096  # rows of z in memory at once; torch draws chunks of a multiple of 16 exactly as it draws all rows at once


@torch.no_grad()
def mean_distance(generator: Generator, pairs: int = 20_000) -> float:
    """Mean of ||w - w'|| over independent pairs of untruncated w, drawn with a fixed seed.

    Of 2 * `pairs` random w, the first half is paired with the second. `pairs` must be a multiple of 16.
    """
    sizes = [min(CHUNK, pairs - first) for first in range(0, pairs, CHUNK)]
    rng, rng2 = torch.Generator().manual_seed(SEED), torch.Generator().manual_seed(SEED)
    for size in sizes:
        torch.randn(size, generator.z_dim, generator=rng2)  # skips the first half, which `rng` draws
    total = 0.0
    for size in sizes:
        w, w2 = (generator.map_to_w(torch.randn(size, generator.z_dim, generator=stream)) for stream in (rng, rng2))
        total += float((w - w2).norm(dim=1).double().sum())
    return total / pairs


def rounded(distance: float) -> float:
    """A distance rounded to six significant digits, which agree between machines."""
    return float(f"{distance:.6g}")
