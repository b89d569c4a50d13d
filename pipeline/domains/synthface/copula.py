"""The Gaussian copula that gives our faces the marginals and rank correlations of FFHQ.

Each attribute is a monotone function of one latent normal, with steps and ramps. Let g_i be the centred, scaled
mid-rank of attribute i as a function of its normal, and c_ik its Hermite coefficients. Then Mehler's formula gives the
exact rank correlation of two attributes with latent correlation r:

    spearman(i, j) = sum over k >= 1 of c_ik c_jk r^k

It is inverted by bisection for each pair. The resulting matrix is replaced by the nearest positive definite correlation
matrix (Higham, IMA J. Numer. Anal. 22, 2002). The two steps are repeated a few times, so that the deviations are spread
over many pairs.
"""

import functools
import json

import numpy as np
import torch
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface.marginals import STATISTICS, quantile_knots, statistics

LATENT_LIMIT = 0.9985  # largest correlation of two latents
HERMITE_ORDER = 80
TOLERANCE = 0.03  # smaller deviations are hardly corrected
REFITS = 12  # rounds that spread the deviations over the pairs
GRID = 8192  # equally likely latent values at which ranks are tabulated
# `glasses` is derived (see factors.py), so its own latent stays uncorrelated.
DERIVED = ("glasses",)


def quantile(name: str, probability: Tensor) -> Tensor:
    """The quantile, in [0, 1], of an attribute in FFHQ at each probability."""
    knots, values = quantile_knots(name)
    at = torch.tensor(knots, dtype=probability.dtype)
    to = torch.tensor(values, dtype=probability.dtype)
    place = torch.searchsorted(at, probability.contiguous(), right=True).clamp(1, len(knots) - 1)
    low, high = at[place - 1], at[place]
    part = ((probability - low) / (high - low)).clamp(0, 1)
    return torch.lerp(to[place - 1], to[place], part)


def _rank_coefficients(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Hermite coefficients (order,) of the scaled mid-ranks of `values` at the normals `points`."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    ranks = (ranks - ranks.mean()) / ranks.std()
    coefficients = np.empty(HERMITE_ORDER)
    before, now = np.ones_like(points), points  # normalised Hermite polynomials
    for order in range(1, HERMITE_ORDER + 1):
        coefficients[order - 1] = (ranks * now).mean()
        following = (points * now - np.sqrt(order) * before) / np.sqrt(order + 1)
        before, now = now, following
    return coefficients


def _rank_correlation(coefficients: np.ndarray, latent: np.ndarray) -> np.ndarray:
    """Mehler's formula for every pair of (n, order) coefficients at latent correlations (n, n)."""
    rank = np.zeros_like(latent)
    for order in range(HERMITE_ORDER - 1, -1, -1):
        rank = (rank + coefficients[:, None, order] * coefficients[None, :, order]) * latent
    return rank


def _solve_latent(coefficients: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The latent correlation of every pair (n, n) whose rank correlation is `target`, bisected."""
    low = np.full(target.shape, -LATENT_LIMIT)
    high = np.full(target.shape, LATENT_LIMIT)
    for _ in range(30):
        middle = (low + high) / 2
        below = _rank_correlation(coefficients, middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def nearest_correlation(matrix: np.ndarray, floor: float = 1e-4, rounds: int = 200) -> np.ndarray:
    """The correlation matrix nearest to a symmetric one: Higham's alternating projections."""
    current, correction = matrix.copy(), np.zeros_like(matrix)
    for _ in range(rounds):
        shifted = current - correction
        roots, vectors = np.linalg.eigh(shifted)
        projected = (vectors * np.maximum(roots, floor)) @ vectors.T
        correction = projected - shifted
        current = projected.copy()
        np.fill_diagonal(current, 1.0)
    roots, vectors = np.linalg.eigh(current)
    current = (vectors * np.maximum(roots, floor)) @ vectors.T
    scale = np.sqrt(np.diag(current))
    return current / np.outer(scale, scale)


def fit_latent() -> np.ndarray:
    """Fit the latent correlation (35, 35) to the statistics; takes some seconds; see `main`."""
    names = attributes.NAMES
    probability = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
    points = torch.special.ndtri(probability)
    points = (points / points.std(correction=0)).numpy()
    coefficients = np.stack([_rank_coefficients(quantile(name, probability).numpy(), points) for name in names])
    stored = statistics()["names"]
    order = [stored.index(name) for name in names]
    rows = statistics()["spearman"]
    # Hair under headwear has no measured colour, so those pairs have no correlation: 0.
    target = np.array([[rows[name][place] or 0.0 for place in order] for name in names])
    target = (target + target.T) / 2
    free = np.eye(len(names), dtype=bool)
    for name in DERIVED:
        free[names.index(name), :] = free[:, names.index(name)] = True
    wanted = _solve_latent(coefficients, target)
    wanted[free] = np.eye(len(names))[free]
    for _ in range(REFITS):
        error = _rank_correlation(coefficients, nearest_correlation(wanted)) - target
        error[free] = 0
        wanted -= error * np.minimum(np.abs(error) / TOLERANCE, 1)
    return nearest_correlation(wanted)


@functools.cache
def latent_correlation() -> Tensor:
    """The correlation (35, 35), float64, of the attributes' latent normals, in the order of NAMES.

    It is shipped with six decimals, so that every machine draws the same faces.
    """
    stored = statistics()
    if tuple(stored["names"]) != attributes.NAMES:
        raise ValueError("statistics.json lists other attributes; run this module to fit it again")
    return torch.tensor([stored["latent"][name] for name in attributes.NAMES], dtype=torch.float64)


@functools.cache
def cholesky() -> Tensor:
    """The lower Cholesky factor (35, 35), float64, of `latent_correlation`."""
    return torch.linalg.cholesky(latent_correlation())


def main() -> None:
    """Fit the latent correlation again and store it: `python -m pipeline.domains.synthface.copula`."""
    content = dict(statistics())
    names, order = attributes.NAMES, [content["names"].index(name) for name in attributes.NAMES]
    rows = content["spearman"]
    content["spearman"] = {name: [rows[name][place] for place in order] for name in names}
    content["attributes"] = {name: content["attributes"][name] for name in names}
    content["names"] = list(names)
    fitted = zip(names, fit_latent().round(6).tolist(), strict=True)
    content["latent"] = dict(fitted)
    lines = [
        f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items() if not isinstance(value, dict)
    ]
    for key, value in content.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
    STATISTICS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
