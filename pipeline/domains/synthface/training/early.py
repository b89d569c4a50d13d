"""Deep supervision of the generator: linear readouts of the truth from the features of an early block.

A face has glasses if its truth lies on one side of an edge, and the truth is a curved function of w. A pixel loss
notices a slightly wrong edge only in the few faces between the wrong edge and the right one. A loss on the truth
notices it at every w, and needs no picture. Therefore linear readouts predict the truth from an early block during
training (Lee et al., "Deeply-Supervised Nets", AISTATS 2015). They are discarded afterwards.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline import attributes
from pipeline.domains.synthface import copula
from pipeline.domains.synthface.factors import N_ATTRIBUTES, N_FACTORS
from pipeline.domains.synthface.training.judges import autocast
from pipeline.domains.synthface.truth import truth_normals
from stylegan.generator import Generator
from stylegan.synthesis import SynthesisNetwork

KINDS_OF_GLASSES = ("reading_glasses", "sunglasses")
BLOCK = 8  # resolution in px of the block that is read
PLACES = 4  # a feature map is reduced to PLACES x PLACES means
MORE = 32  # additional w per step, read without a picture
SOLVED_WITH = 16_384  # number of w from which the initial readouts are solved
RIDGE = 30.0  # regularisation of that solution
EVALUATED_WEIGHT = 3.0  # weight of the eight edited attributes and both kinds of glasses; other attributes have 1
OTHER_WEIGHT = 0.3  # weight of identity and nuisance factors
BATCH = 128


def attribute_weight() -> Tensor:
    """The weight (35,) of each attribute's error: EVALUATED_WEIGHT for edited attributes and glasses, 1 for others."""
    weight = torch.ones(N_ATTRIBUTES)
    weight[[attributes.INDEX[name] for name in (*attributes.EVALUATED.values(), *KINDS_OF_GLASSES)]] = EVALUATED_WEIGHT
    return weight


def latents_of(w: Tensor) -> Tensor:
    """The standard normals (N, N_FACTORS), float32, that determine the factors of the faces of w (N, 512).

    The normals of attributes are correlated as in FFHQ. Each factor is a monotone function of its normal, except for
    glasses: sunglasses replace reading glasses, and either kind counts as glasses.
    """
    normals = truth_normals(w).double()
    correlated = normals[:, :N_ATTRIBUTES] @ copula.cholesky().T
    return torch.cat([correlated, normals[:, N_ATTRIBUTES:]], dim=1).float()


class EarlyTruth(nn.Module):
    """Linear readouts: features of an early block (N, channels, r, r) -> latents (N, N_FACTORS)."""

    def __init__(self, synthesis: SynthesisNetwork) -> None:
        super().__init__()
        channels = synthesis.get_submodule(f"b{BLOCK}.conv1").get_parameter("bias").shape[0]
        self.lines = nn.Linear(channels * PLACES**2, N_FACTORS)
        weight = torch.full((N_FACTORS,), OTHER_WEIGHT)
        weight[:N_ATTRIBUTES] = attribute_weight()
        self.register_buffer("weight", weight / weight.mean())

    def forward(self, features: Tensor) -> Tensor:
        return self.lines(pooled(features))

    @torch.no_grad()
    def solve(self, generator: Generator, w: Tensor) -> None:
        """Set the readouts to the ridge regression of the latents of some of w on the current features."""
        chosen = w[np.random.default_rng(0).permutation(len(w))[:SOLVED_WITH]]
        seen = torch.cat([pooled(_features(generator, batch)) for batch in chosen.split(BATCH)]).double()
        wanted, middle = latents_of(chosen).double(), seen.mean(dim=0)
        spread = seen.std(dim=0).clamp(min=1e-3)
        centred = (seen - middle) / spread
        power = centred.T @ centred
        power.diagonal().add_(RIDGE)
        found = torch.linalg.solve(power, centred.T @ (wanted - wanted.mean(dim=0))) / spread[:, None]
        self.lines.weight.copy_(found.T)
        self.lines.bias.copy_(wanted.mean(dim=0) - middle @ found)

    def rows(self, seed: int, step: int, count: int) -> np.ndarray:
        """Indices, below `count`, of the w that a step reads without a picture."""
        return np.random.default_rng([seed, step, 1]).integers(0, count, MORE)

    def loss(self, generator: Generator, w: Tensor, features: dict[int, Tensor], more: Tensor) -> Tensor:
        """Weighted squared error of the latents of w (N, 512), with given features, and of more w (M, 512)."""
        with autocast():
            further = _features(generator, more)
        read = self(torch.cat([features[BLOCK], further]))
        return ((read - latents_of(torch.cat([w, more]))).square() * self.get_buffer("weight")).mean()


def _features(generator: Generator, w: Tensor) -> Tensor:
    return generator.synthesis.features(generator.mapping.broadcast(w), BLOCK)


def pooled(features: Tensor) -> Tensor:
    """A feature map (N, channels, r, r) reduced to PLACES x PLACES means, flat and float32."""
    return functional.adaptive_avg_pool2d(features.float(), PLACES).flatten(1)
