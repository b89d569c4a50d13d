"""Projection of aligned photographs to codes, by optimisation.

The projector of Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, section 5 and
appendix D: start at the mean code and minimise the perceptual distance with Adam. The learning rate rises over the
first 5 % of the steps and falls along a cosine over the last quarter. Noise on the code falls to zero over the first
three quarters.

Departures: codes are measured in standard deviations of random codes, so that one learning rate serves every generator.
The squared distance from the mean code in that unit is penalised. Squared pixel differences are added to the loss. The
noise buffers are fixed, because edits use them, so they need no regularisation. W+ (Abdal et al., "Image2StyleGAN",
ICCV 2019) optimises one code per layer, each with its own noise and penalty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline.images import resize

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

SPACES = ("w", "w+")
RATE = 0.1  # Adam's learning rate, as in the authors' code
RISE, FALL = 0.05, 0.25  # shares of the steps over which the rate rises and falls
NOISE, NOISE_SHARE = 0.5, 0.75  # standard deviation of the first noise, in units of random codes'; share of the steps
PIXEL_WEIGHT = 1.0
PENALTY = 0.1  # weight of the squared distance from the mean code, which is 1 on average for random codes
LARGEST_COMPARED = 256  # larger pictures are compared at this size, as in the authors' code

Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Options:
    """The settings of a projection; each can change the codes. `space` is one of SPACES."""

    space: str = "w"
    steps: int = 400
    seed: int = 0


@dataclass(frozen=True)
class Projected:
    """Codes ws (N, L, 512), and the final loss (N,) of each."""

    ws: Tensor
    loss: Tensor


def project(
    domain: Domain,
    photos: Tensor,
    keys: Sequence[int],
    options: Options,
    tell: Report = lambda step, loss: None,
) -> Projected:
    """Project aligned photographs (N, 3, R, R) in [-1, 1]: find the codes with the most similar images.

    `keys` (N,) are integers, one per photograph. Noise depends only on (seed, key), so a photograph's code does not
    depend on its batch, up to rounding. `tell(step, loss)` is called after every step with the mean loss. Raises
    ValueError if the space is not in SPACES.
    """
    if options.space not in SPACES:
        raise ValueError(f"No space named {options.space!r}. Known: {', '.join(SPACES)}.")
    layers = domain.generator.num_ws if options.space == "w+" else 1
    shape = (layers, domain.generator.w_dim)
    targets = _compared(photos)
    offset = torch.zeros(len(photos), *shape, device=photos.device, requires_grad=True)
    optimiser = torch.optim.Adam([offset], lr=RATE)
    streams = [np.random.default_rng([options.seed, key]) for key in keys]
    for step in range(options.steps):
        progress = step / options.steps
        for group in optimiser.param_groups:
            group["lr"] = RATE * rate(progress)
        noisy = offset + noise_scale(progress) * _noise(streams, shape).to(offset)
        losses = _losses(domain, noisy, offset, targets)
        optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()
        optimiser.step()
        tell(step + 1, float(losses.detach().mean()))
    with torch.no_grad():
        losses = _losses(domain, offset, offset, targets)
        return Projected(_ws(domain, offset), losses)


def rate(progress: float) -> float:
    """The learning rate's factor in [0, 1] after a share of the steps."""
    fall = min(1.0, (1.0 - progress) / FALL)
    return (0.5 - 0.5 * math.cos(math.pi * fall)) * min(1.0, progress / RISE)


def noise_scale(progress: float) -> float:
    """Standard deviation of the noise on a code, in units of random codes', after a share of the steps."""
    return NOISE * max(0.0, 1.0 - progress / NOISE_SHARE) ** 2


def _noise(streams: Sequence[np.random.Generator], shape: tuple[int, int]) -> Tensor:
    return torch.from_numpy(np.stack([stream.standard_normal(shape, dtype=np.float32) for stream in streams]))


def _ws(domain: Domain, offset: Tensor) -> Tensor:
    """Codes (N, L, 512) from offsets (N, 1 or L, 512) to the mean code, in standard deviations of random codes."""
    generator = domain.generator
    deviation = domain.mean_distance / math.sqrt(2 * generator.w_dim)
    return (generator.mapping.w_avg + deviation * offset).expand(-1, generator.num_ws, -1)


def _compared(images: Tensor) -> Tensor:
    return resize(images, min(images.shape[-1], LARGEST_COMPARED)) if images.shape[-1] > LARGEST_COMPARED else images


def _losses(domain: Domain, noisy: Tensor, offset: Tensor, targets: Tensor) -> Tensor:
    """The loss (N,) of each photograph."""
    images = _compared(domain.generator.synthesis(_ws(domain, noisy)))
    perceptual = domain.perceptual_distance(images, targets)
    pixels = (images - targets).square().mean(dim=(1, 2, 3))
    return perceptual + PIXEL_WEIGHT * pixels + PENALTY * offset.square().mean(dim=(1, 2))
