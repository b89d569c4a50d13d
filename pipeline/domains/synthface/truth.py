"""What the generator's image of a z truly is: z -> w -> normals -> factors.

The mapping network is not learned but made: seven layers keep their random start values, which entangle z, and the
last is set so that w holds N_FACTORS independent standard normals, whitened from what the seven give. From there a
turn of every normal by an angle that depends on others leads to the truth, so that w does not hold it linearly.
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
LARGEST_TURN = 0.5  # radians; 0 would let w hold the truth linearly
MIXED = 0.7  # root of the power that every axis of w takes from other normals than its own; 0 would align the axes
SAMPLES = 16384  # z that the whitening is measured on
_SLOPE, _GAIN = 0.2, math.sqrt(2.0)  # of StyleGAN's leaky ReLU


@functools.cache
def _spread_in_w() -> Tensor:
    """How w mixes the normals: (256, N_FACTORS) with rows of length 1, float64.

    Every axis has a normal of its own, in turn, and a little of all others: as in a trained W, axes are neither pure
    nor all alike.
    """
    rng = np.random.default_rng([SEED, 1])
    rows = rng.standard_normal((256, N_FACTORS)) * (MIXED / math.sqrt(N_FACTORS))
    rows[np.arange(256), np.arange(256) % N_FACTORS] += rng.choice([-1.0, 1.0], 256)
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@functools.cache
def _read_from_w() -> Tensor:
    """Its left inverse, (N_FACTORS, 256), float64."""
    return torch.linalg.pinv(_spread_in_w())


@functools.cache
def _turns() -> Tensor:
    """The order in which normals are turned in pairs."""
    return torch.from_numpy(np.random.default_rng([SEED, 2]).permutation(N_FACTORS))


@functools.cache
def _projection() -> Tensor:
    """Which N_FACTORS directions of the seventh layer become normals, float64."""
    return torch.from_numpy(np.random.default_rng([SEED, 3]).standard_normal((N_FACTORS, 512)) / math.sqrt(512))


@torch.no_grad()
def make_mapping() -> MappingNetwork:
    """The embedded generator's mapping network: the same on every machine up to rounding."""
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

    The two halves of w are the leaky ReLU of x and of -x, whose difference is linear in x.
    """
    exact = w.detach().double()
    mixed = (exact[:, :256] - exact[:, 256:]) / ((1 + _SLOPE) * _GAIN)
    return mixed @ _read_from_w().T.to(w.device)


def truth_normals(w: Tensor) -> Tensor:
    """The normals (N, N_FACTORS) of the truth: those in w, turned in pairs by angles that follow others.

    A rotation of two independent normals by an angle independent of them leaves them independent standard normals.
    """
    normals = normals_in_w(w)
    order, middle = _turns(), N_FACTORS // 2
    normals = _turn_pairs(normals, order[:middle], order[middle:])
    return _turn_pairs(normals, order[middle:], order[:middle]).float()


def w_of_truth(normals: Tensor) -> Tensor:
    """The w (N, 512), float32, whose truth has these normals (N, N_FACTORS); exact but for rounding.

    w is where the mapping network takes a z that no one has to find: its image is no wider than the normals.
    """
    order, middle = _turns(), N_FACTORS // 2
    held = _turn_pairs(normals.double(), order[middle:], order[:middle], back=True)
    held = _turn_pairs(held, order[:middle], order[middle:], back=True)
    mixed = held @ _spread_in_w().T
    return (functional.leaky_relu(torch.cat([mixed, -mixed], dim=1), _SLOPE) * _GAIN).float()


def truth_factors(w: Tensor) -> Tensor:
    """The factors (N, N_FACTORS) that the embedded generator should show for w (N, 512)."""
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
