"""What early features must know: where a face stands, so that what follows has only to draw it.

Whether a face wears glasses is decided by which side of an edge its truth lies on, and the truth is a curved function
of w. Pixels tell that function apart from a slightly wrong one only by the few faces between the two edges; the truth
itself tells it by every w, and needs no picture. So, while training, lines read the truth from the features of an early
block: deep supervision (Lee et al., "Deeply-Supervised Nets", AISTATS 2015). They are thrown away afterwards.
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
BLOCK = 8  # px: the block whose features are read
PLACES = 4  # x 4: what of a feature map is read, its means over as many places
MORE = 32  # w a step that are read without a picture
SOLVED_WITH = 16_384  # w from which the lines' start is solved
RIDGE = 30.0  # of that solution
EVALUATED_WEIGHT = 3.0  # of the eight attributes that are edited and of both kinds of glasses, beside 1 of the others
OTHER_WEIGHT = 0.3  # of identity and nuisance factors
BATCH = 128


def attribute_weight() -> Tensor:
    """How much an error of each attribute (35,) counts: EVALUATED_WEIGHT where it is edited, 1 elsewhere."""
    weight = torch.ones(N_ATTRIBUTES)
    weight[[attributes.INDEX[name] for name in (*attributes.EVALUATED.values(), *KINDS_OF_GLASSES)]] = EVALUATED_WEIGHT
    return weight


def latents_of(w: Tensor) -> Tensor:
    """What decides every factor of the faces of w (N, 512): standard normals (N, N_FACTORS), float32.

    Those of attributes are correlated as FFHQ's attributes are. Each factor is a monotone function of its own, but for
    glasses: sunglasses take the place of reading glasses, and either kind counts as glasses.
    """
    normals = truth_normals(w).double()
    own = normals[:, :N_ATTRIBUTES] @ copula.cholesky().T
    return torch.cat([own, normals[:, N_ATTRIBUTES:]], dim=1).float()


class EarlyTruth(nn.Module):
    """Lines that read the latents (N, N_FACTORS) from the features of an early block (N, channels, r, r)."""

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
        """Set the lines to the ridge regression of the latents of some of w from the features as they are."""
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
        """Which w, of `count`, a step reads without a picture."""
        return np.random.default_rng([seed, step, 1]).integers(0, count, MORE)

    def loss(self, generator: Generator, w: Tensor, features: dict[int, Tensor], more: Tensor) -> Tensor:
        """Weighted squared error of the latents of w (N, 512), whose features are known, and of more w (M, 512)."""
        with autocast():
            further = _features(generator, more)
        read = self(torch.cat([features[BLOCK], further]))
        return ((read - latents_of(torch.cat([w, more]))).square() * self.get_buffer("weight")).mean()


def _features(generator: Generator, w: Tensor) -> Tensor:
    return generator.synthesis.features(generator.mapping.broadcast(w), BLOCK)


def pooled(features: Tensor) -> Tensor:
    """Means of a feature map (N, channels, r, r) over PLACES x PLACES places, flat and float32."""
    return functional.adaptive_avg_pool2d(features.float(), PLACES).flatten(1)
