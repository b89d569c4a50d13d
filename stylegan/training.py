"""Distilled training: a generator learns images whose making is known.

Given a fixed map z -> targets and the image that belongs to every z, the mapping network is fitted first (its w
must tell the targets to a nonlinear head, so that w need not hold them linearly), then mapping and synthesis
together regress the images, from low resolution to high as the skip architecture allows (Karras et al. 2018 grow
in the same order). No discriminator: everything about an image is known from its z, so regression has one answer.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from stylegan.generator import Generator, SynthesisNetwork


class TargetHead(nn.Module):
    """Reads targets (N, `targets`) from w (N, `w_dim`) through two hidden layers; used in training only."""

    def __init__(self, w_dim: int, targets: int, width: int = 512) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(w_dim, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, targets),
        )

    def forward(self, w: Tensor) -> Tensor:
        out: Tensor = self.layers(w)
        return out


def mapping_loss(generator: Generator, head: TargetHead, z: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of the targets (standardised by the caller) that the head reads from w."""
    return functional.mse_loss(head(generator.map_to_w(z)), targets)


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
