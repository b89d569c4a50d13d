"""How far apart two random w lie: the unit in which edits are measured."""

from __future__ import annotations

import torch

from stylegan.generator import Generator


@torch.no_grad()
def mean_distance(generator: Generator, pairs: int = 20_000) -> float:
    """Mean of ||w - w'|| over independent pairs of untruncated w, from a fixed seed."""
    z = torch.randn(2 * pairs, generator.z_dim, generator=torch.Generator().manual_seed(7))
    w = torch.cat([generator.map_to_w(part) for part in z.split(4096)])
    return float((w[:pairs] - w[pairs:]).norm(dim=1).mean())


def rounded(distance: float) -> float:
    """A distance to six digits, which are the same whatever machine measured it."""
    return float(f"{distance:.6g}")
