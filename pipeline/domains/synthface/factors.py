"""The factors of a synthface face: 35 attributes, identity factors and nuisance factors, all in [0, 1].

Attributes follow FFHQ through a Gaussian copula (copula.py), identity factors are clipped normals, nuisance factors are
uniform. `glasses` is 1 if `reading_glasses` or `sunglasses` is 1, or if its latent draws another kind (share 0.2 %). If
both kinds are drawn, sunglasses are kept and reading glasses dropped, so the three factors are always consistent.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface import copula
from pipeline.domains.synthface.factor_table import (
    FACTOR_NAMES,
    FACTORS,
    IDENTITY_INDEX,
    N_ATTRIBUTES,
    N_FACTORS,
    NUISANCE_INDEX,
    PARTS,
    Factor,
    column,
)
from pipeline.domains.synthface.marginals import statistics

__all__ = [
    "BLOCK",
    "FACTORS",
    "FACTOR_NAMES",
    "IDENTITY_INDEX",
    "IDENTITY_SPREAD",
    "NUISANCE_INDEX",
    "N_ATTRIBUTES",
    "N_FACTORS",
    "PARTS",
    "Factor",
    "attributes_of",
    "column",
    "draw_factors",
    "factors_from_normals",
]

BLOCK = 1024  # faces drawn from one random stream
IDENTITY_SPREAD = 0.25  # standard deviation of an identity factor before clipping


def factors_from_normals(normals: Tensor) -> Tensor:
    """Independent standard normals (N, N_FACTORS) -> factors (N, N_FACTORS) in [0, 1]."""
    exact = normals.to(torch.float64)
    latents = exact[:, :N_ATTRIBUTES] @ copula.cholesky().T
    probability = torch.special.ndtr(latents)
    values = torch.empty_like(exact)
    for place, name in enumerate(attributes.NAMES):
        values[:, place] = copula.quantile(name, probability[:, place])
    reading, sun, worn = (column(n) for n in ("reading_glasses", "sunglasses", "glasses"))
    values[:, reading] *= 1 - values[:, sun]
    share = {
        n: float(statistics()["attributes"][n]["share_above_half"])
        for n in ("reading_glasses", "sunglasses", "glasses")
    }
    known = share["reading_glasses"] + share["sunglasses"]
    other = probability[:, worn] > 1 - (share["glasses"] - known) / (1 - known)
    values[:, worn] = torch.maximum(values[:, reading], values[:, sun]).maximum(other.double())
    values[:, IDENTITY_INDEX] = (0.5 + IDENTITY_SPREAD * exact[:, IDENTITY_INDEX]).clamp(0, 1)
    values[:, NUISANCE_INDEX] = torch.special.ndtr(exact[:, NUISANCE_INDEX])
    return values.to(torch.float32)


def draw_factors(seed: int, ids: Sequence[int] | Tensor) -> Tensor:
    """The factors (N, N_FACTORS) in [0, 1] of the faces `ids`; a row depends only on (seed, id)."""
    wanted = np.asarray(ids.tolist() if isinstance(ids, Tensor) else list(ids), dtype=np.int64)
    normals = np.empty((len(wanted), N_FACTORS))
    for block in np.unique(wanted // BLOCK):
        inside = wanted // BLOCK == block
        stream = np.random.default_rng([seed, int(block)])
        normals[inside] = stream.standard_normal((BLOCK, N_FACTORS))[wanted[inside] % BLOCK]
    return factors_from_normals(torch.from_numpy(normals))


def attributes_of(factors: Tensor) -> Tensor:
    """The 35 attributes (N, 35) among the factors (N, N_FACTORS)."""
    return factors[:, :N_ATTRIBUTES]
