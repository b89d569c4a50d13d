"""How far apart two random w lie: the unit in which edits are measured."""

from __future__ import annotations

import torch

from stylegan.generator import Generator

SEED = 7
CHUNK = 4096  # rows of z that are in memory at once; divisible by 16, so that chunks are drawn as the whole would be


@torch.no_grad()
def mean_distance(generator: Generator, pairs: int = 20_000) -> float:
    """Mean of ||w - w'|| over independent pairs of untruncated w, from a fixed seed: the first half against the second.

    `pairs` must be a multiple of 16.
    """
    sizes = [min(CHUNK, pairs - first) for first in range(0, pairs, CHUNK)]
    one, other = torch.Generator().manual_seed(SEED), torch.Generator().manual_seed(SEED)
    for size in sizes:
        torch.randn(size, generator.z_dim, generator=other)  # what `one` draws
    total = 0.0
    for size in sizes:
        w, w2 = (generator.map_to_w(torch.randn(size, generator.z_dim, generator=rng)) for rng in (one, other))
        total += float((w - w2).norm(dim=1).double().sum())
    return total / pairs


def rounded(distance: float) -> float:
    """A distance to six digits, which are the same whatever machine measured it."""
    return float(f"{distance:.6g}")
