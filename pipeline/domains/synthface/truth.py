"""The truth of a generated image: z -> w -> normals -> factors.

The mapping network is constructed, not learned. Seven layers keep their random initial weights, which entangle z. The
last layer is set so that w holds N_FACTORS independent standard normals, whitened from the output of the seven. The
true normals follow by rotations of pairs of normals by angles that depend on others, so w does not hold the truth
linearly.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.domains.synthface.factors import N_FACTORS, factors_from_normals
from stylegan.architecture import Architecture
from stylegan.layers import FullyConnected, normalize_second_moment
from stylegan.mapping import MappingNetwork
from stylegan.sampling import draw_z

SEED = 20261121
LARGEST_TURN = 0.5  # radians; with 0, w would hold the truth linearly
MIXED = 0.7  # root of the power in each axis of w that comes from other normals; with 0, axes would be aligned
SAMPLES = 16384  # number of z on which the whitening is measured
_SLOPE, _GAIN = 0.2, math.sqrt(2.0)  # of StyleGAN's leaky ReLU


@functools.cache
def _spread_in_w() -> Tensor:
    """The matrix (256, N_FACTORS), float64, that mixes the normals into w; rows have length 1.

    Each axis has one main normal, in turn, and small parts of all others: as in a trained W, axes are neither pure nor
    all similar.
    """
    rng = np.random.default_rng([SEED, 1])
    rows = rng.standard_normal((256, N_FACTORS)) * (MIXED / math.sqrt(N_FACTORS))
    rows[np.arange(256), np.arange(256) % N_FACTORS] += rng.choice([-1.0, 1.0], 256)
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@functools.cache
def _read_from_w() -> Tensor:
    """The left inverse (N_FACTORS, 256), float64, of `_spread_in_w`."""
    return torch.linalg.pinv(_spread_in_w())


@functools.cache
def _turns() -> Tensor:
    """The order in which pairs of normals are rotated."""
    return torch.from_numpy(np.random.default_rng([SEED, 2]).permutation(N_FACTORS))


@functools.cache
def _projection() -> Tensor:
    """The N_FACTORS directions of the seventh layer that become normals, float64."""
    return torch.from_numpy(np.random.default_rng([SEED, 3]).standard_normal((N_FACTORS, 512)) / math.sqrt(512))


@torch.no_grad()
def make_mapping() -> MappingNetwork:
    """The mapping network of synthface's generator; the same on every machine up to rounding."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        network = MappingNetwork(Architecture(resolution=4, channels={4: 1}))
    z = torch.from_numpy(draw_z(SEED, np.arange(SAMPLES)))
    hidden = normalize_second_moment(z)
    for index in range(network.num_layers - 1):
        hidden = network.get_submodule(f"fc{index}")(hidden)
    read = hidden.double() @ _projection().T
    middle = read.mean(dim=0)
    whiten = torch.linalg.inv(torch.linalg.cholesky(torch.cov((read - middle).T)))
    rows = _spread_in_w() @ whiten @ _projection()
    shift = _spread_in_w() @ whiten @ middle
    last = network.get_submodule(f"fc{network.num_layers - 1}")
    assert isinstance(last, FullyConnected)
    last.weight.copy_(torch.cat([rows, -rows]) / last.weight_gain)
    last.bias.copy_(torch.cat([-shift, shift]) / last.bias_gain)
    return network


def normals_in_w(w: Tensor) -> Tensor:
    """The independent standard normals (N, N_FACTORS), float64, that w (N, 512) holds linearly.

    The two halves of w are the leaky ReLU of x and of -x; their difference is linear in x.
    """
    exact = w.detach().double()
    mixed = (exact[:, :256] - exact[:, 256:]) / ((1 + _SLOPE) * _GAIN)
    return mixed @ _read_from_w().T.to(w.device)


def truth_normals(w: Tensor) -> Tensor:
    """The normals (N, N_FACTORS) of the truth: pairs of w's normals rotated by angles that depend on other normals.

    Two independent standard normals stay so when they are rotated by an angle that is independent of them.
    """
    normals = normals_in_w(w)
    order, middle = _turns(), N_FACTORS // 2
    normals = _turn_pairs(normals, order[:middle], order[middle:])
    return _turn_pairs(normals, order[middle:], order[:middle]).float()


def w_of_truth(normals: Tensor) -> Tensor:
    """The w (N, 512), float32, whose truth has the normals (N, N_FACTORS); exact up to rounding.

    w is computed from the normals directly; no z is searched for.
    """
    order, middle = _turns(), N_FACTORS // 2
    held = _turn_pairs(normals.double(), order[middle:], order[:middle], back=True)
    held = _turn_pairs(held, order[:middle], order[middle:], back=True)
    mixed = held @ _spread_in_w().T
    return (functional.leaky_relu(torch.cat([mixed, -mixed], dim=1), _SLOPE) * _GAIN).float()


def truth_factors(w: Tensor) -> Tensor:
    """The true factors (N, N_FACTORS) in [0, 1] for w (N, 512), which the generator's image should show."""
    return factors_from_normals(truth_normals(w))


def _turn_pairs(normals: Tensor, turned: Tensor, guides: Tensor, *, back: bool = False) -> Tensor:
    half = len(turned) // 2
    first, second = turned[:half], turned[half : 2 * half]
    angle = (-LARGEST_TURN if back else LARGEST_TURN) * torch.tanh(normals[:, guides[torch.arange(half) % len(guides)]])
    left, right = normals[:, first], normals[:, second]
    after = normals.clone()
    after[:, first] = angle.cos() * left - angle.sin() * right
    after[:, second] = angle.sin() * left + angle.cos() * right
    return after
