"""Distilled training: a generator learns images whose making is known.

Given the image that belongs to every w, the synthesis network regresses it, from low resolution to high as the skip
architecture allows (Karras et al. 2018 grow in the same order). No discriminator: everything about an image is known
from its w, so regression has one answer.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from stylegan.synthesis import SynthesisNetwork

SMALLEST_DETAIL = 0.01  # below it, detail counts as none; keeps the root's slope finite


def image_at(
    synthesis: SynthesisNetwork, ws: Tensor, resolution: int, features: dict[int, Tensor] | None = None
) -> Tensor:
    """The image (N, 3, resolution, resolution) that the blocks up to `resolution` make.

    The feature map (N, channels, r, r) of each of these blocks goes into `features`, by r.
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
    """Mean absolute error of pixels and of their differences to the right and below, plus squared error by `squares`.

    Absolute errors keep edges sharper than squares alone; the differences weigh outlines; squares weigh what is missing
    as a whole, such as glasses. Images in [-1, 1]. `weight` (height, width), of mean 1, says which pixels matter more.
    """
    error = images - targets
    if weight is not None:
        error = error * weight
    right = error[..., :, 1:] - error[..., :, :-1]
    below = error[..., 1:, :] - error[..., :-1, :]
    return error.abs().mean() + squares * error.square().mean() + right.abs().mean() + below.abs().mean()


def detail(images: Tensor) -> Tensor:
    """How strong fine detail is: the root mean square, over 4 x 4 pixels, of what a 3 x 3 mean takes away.

    Images (N, 3, H, W) in [-1, 1], H and W multiples of 4, give (N, 3, H / 4, W / 4).
    """
    around = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (functional.avg_pool2d((images - around).square(), 4) + SMALLEST_DETAIL**2).sqrt()


def detail_loss(images: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error of the strength of detail, wherever in its 4 x 4 pixels it lies; at full and half resolution.

    Where a regression is unsure of the place of an edge or of a strand of hair, pixels alone ask for a soft one; this
    asks for a sharp one. H and W must be multiples of 8.
    """
    halves = functional.avg_pool2d(images, 2), functional.avg_pool2d(targets, 2)
    return _unlike_detail(images, targets) + _unlike_detail(*halves)


def _unlike_detail(images: Tensor, targets: Tensor) -> Tensor:
    return (detail(images) - detail(targets)).abs().mean()
