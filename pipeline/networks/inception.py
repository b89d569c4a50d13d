"""clean-fid's Inception on generated images: features of FID and KID, class logits of the inception score.

Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022, mode "clean": images are
rounded to 8 bits, as in a PNG, resized to 299 px with PIL's bicubic antialiasing filter without rounding, and clipped
to [0, 255]. The filter here is torch's, which computes the same on the device: features and FID equal the results of
clean-fid's folder functions on the same images saved as PNG (a test compares them).

Inception score: Salimans et al., NeurIPS 2016, over the network's 1008 classes, on the same resized images. The
authors' code and NVIDIA's (`no_output_bias`) omit the bias of the last layer, and so does this module.
"""

from __future__ import annotations

import torch
from cleanfid.inception_torchscript import InceptionV3W
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import WeightsError

FEATURE_WIDTH = 2048
CLASSES = 1008
SIZE = 299


class Inception(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> features (N, 2048), not negative; no gradients.

    `network` comes from `official.inception`. Raises WeightsError if its last layer has another shape.
    """

    feature_width = FEATURE_WIDTH
    classes = CLASSES

    def __init__(self, network: InceptionV3W) -> None:
        super().__init__()
        self.network = network
        output = getattr(network.base, "output", None)
        weight = getattr(output, "weight", None)
        if not isinstance(weight, Tensor) or weight.shape != (CLASSES, FEATURE_WIDTH):
            shape = "none" if weight is None else str(tuple(weight.shape))
            raise WeightsError(
                f"inception: expected a last layer `output` of shape ({CLASSES}, {FEATURE_WIDTH}), found {shape}. "
                "Is it inception-2015-12-05.pt of NVIDIA? latentbench weights verify inception"
            )
        self.classifier: Tensor
        self.register_buffer("classifier", weight.detach(), persistent=False)

    @torch.no_grad()
    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, 2048) and class logits without bias (N, 1008) in one pass."""
        features: Tensor = self.network(pixels_of(images)).float()
        return features, features @ self.classifier.T

    def features(self, images: Tensor) -> Tensor:
        """Features, (N, 2048)."""
        return self.both(images)[0]

    def logits(self, images: Tensor) -> Tensor:
        """Class logits without bias, (N, 1008)."""
        return self.both(images)[1]

    forward = features


def pixels_of(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1] -> the network's input in clean-fid, (N, 3, 299, 299) float32 in [0, 255]."""
    pixels = ((images.float().clamp(-1.0, 1.0) + 1.0) * 127.5).round()
    if pixels.shape[-2:] != (SIZE, SIZE):
        pixels = functional.interpolate(pixels, size=(SIZE, SIZE), mode="bicubic", align_corners=False, antialias=True)
    return pixels.clamp(0.0, 255.0)
