"""Distilled training: a generator learns images whose making is known.

Given a fixed map z -> targets and the image that belongs to every z, the mapping network is fitted first (a linear
head must read the targets from its w), then mapping and synthesis together regress the images, from low resolution
to high as the skip architecture allows (Karras et al. 2018 grow in the same order). No discriminator: everything
about an image is known from its z, so regression has one answer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylegan.generator import Generator, SynthesisNetwork


def mapping_loss(generator: Generator, head: nn.Linear, z: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of the targets (standardised by the caller) that the head reads from w."""
    return functional.mse_loss(head(generator.map_to_w(z)), targets)


@torch.no_grad()
def scale_w(generator: Generator, head: nn.Linear, samples: int = 8192) -> None:
    """Scale w to a standard deviation of one, as at the start of an adversarial training, and the head inversely.

    Styles are affine in w: where w is large, a new synthesis network starts with wild styles and learns slowly.
    The last layer of the mapping network is linear up to its leaky ReLU, so scaling its parameters scales w.
    """
    z = torch.randn(samples, generator.z_dim, generator=torch.Generator().manual_seed(0))
    spread = float(generator.map_to_w(z).std())
    last = generator.mapping.get_submodule(f"fc{generator.mapping.num_layers - 1}")
    for parameter in last.parameters():
        parameter /= spread
    head.weight *= spread


def image_at(synthesis: SynthesisNetwork, ws: Tensor, resolution: int) -> Tensor:
    """The image (N, 3, resolution, resolution) that the blocks up to `resolution` make."""
    x = image = None
    for _, block in synthesis.blocks():
        x = block.features(x, ws, noise="const", rng=None, forms=synthesis.forms)
        image = block.add_to_image(image, x, ws, forms=synthesis.forms)
        if block.resolution == resolution:
            break
    assert image is not None
    return image


def pixel_loss(images: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error of pixels and of their differences to the right and below, plus a squared part.

    Absolute errors keep edges sharper than squares alone; the differences weigh outlines. Images in [-1, 1].
    """
    error = images - targets
    right = error[..., :, 1:] - error[..., :, :-1]
    below = error[..., 1:, :] - error[..., :-1, :]
    return error.abs().mean() + error.square().mean() + right.abs().mean() + below.abs().mean()
