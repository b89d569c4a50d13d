"""Losses for distillation: the synthesis network regresses a known image for every w.

Training goes from low resolution to high, which the skip architecture allows; Karras et al. (ICLR 2018) grow their
networks in the same order. No discriminator is needed: w determines the image, so the regression target is unique.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from stylegan.synthesis import SynthesisNetwork

SMALLEST_DETAIL = 0.01  # added in quadrature: weaker detail hardly counts, and the gradient of the root stays finite


def image_at(
    synthesis: SynthesisNetwork, ws: Tensor, resolution: int, features: dict[int, Tensor] | None = None
) -> Tensor:
    """The image (N, 3, resolution, resolution) of the blocks up to `resolution`, for ws (N, L, w_dim).

    If `features` is given, the feature map (N, channels, r, r) of each of these blocks is stored in it under r.
    """
    x = image = None
    for _, block in synthesis.blocks():
        x = block.features(x, ws, noise="const", rng=None, forms=synthesis.forms)
        image = block.add_to_image(image, x, ws, forms=synthesis.forms)
        if features is not None:
            features[block.resolution] = x
        if block.resolution == resolution:
            break
    assert image is not None
    return image


def pixel_loss(images: Tensor, targets: Tensor, weight: Tensor | None = None, squares: float = 1.0) -> Tensor:
    """Mean absolute error of pixels and of their horizontal and vertical differences, plus `squares` * squared error.

    Images are (N, 3, height, width) in [-1, 1]; returns a scalar. The absolute error keeps edges sharper than the
    squared error alone, the differences emphasise outlines, and the squared error emphasises missing objects such as
    glasses. `weight` (height, width), with mean 1, weights the pixels.
    """
    error = images - targets
    if weight is not None:
        error = error * weight
    right = error[..., :, 1:] - error[..., :, :-1]
    below = error[..., 1:, :] - error[..., :-1, :]
    return error.abs().mean() + squares * error.square().mean() + right.abs().mean() + below.abs().mean()


def detail(images: Tensor) -> Tensor:
    """Strength of fine detail: root mean square over 4 x 4 pixels of the image minus its 3 x 3 moving average.

    Images (N, 3, H, W) in [-1, 1], H and W multiples of 4 -> (N, 3, H / 4, W / 4).
    """
    around = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (functional.avg_pool2d((images - around).square(), 4) + SMALLEST_DETAIL**2).sqrt()


def detail_loss(images: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error of the strength of detail (`detail`), at full plus at half resolution; a scalar.

    The loss ignores the position of detail within 4 x 4 pixels. Where a regression cannot predict the exact position
    of an edge or a strand of hair, a loss on pixels rewards a soft edge and this loss a sharp one. H and W must be
    multiples of 8.
    """
    halves = functional.avg_pool2d(images, 2), functional.avg_pool2d(targets, 2)
    return _detail_error(images, targets) + _detail_error(*halves)


def _detail_error(images: Tensor, targets: Tensor) -> Tensor:
    return (detail(images) - detail(targets)).abs().mean()
