"""Similarity of two images: the lpips package on our perception net, and structural similarity."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

import lpips
import torch
from pytorch_msssim import ssim
from torch import Tensor, nn

from pipeline.networks.perception import PerceptionNet
from pipeline.networks.structure import similarity

LARGE = 256  # pixels of a side above which SSIM goes by strips


class _Trunk(nn.Module):
    """A perception net with the interface of an lpips trunk: images -> activations, fine to coarse."""

    def __init__(self, perception: PerceptionNet) -> None:
        super().__init__()
        self.perception = perception

    def forward(self, images: Tensor) -> list[Tensor]:
        return [map.float() for map in self.perception.maps(images)]


@lru_cache(maxsize=2)
def perceptual_distance(perception: PerceptionNet) -> lpips.LPIPS:
    """`distance(images, others)`: (N, 3, H, W) pairs in [-1, 1] -> (N, 1, 1, 1), without lpips' learned heads.

    The images are not scaled first: the package's scaling is for its ImageNet trunks.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        distance = lpips.LPIPS(net="squeeze", lpips=False, pretrained=False, pnet_rand=True, verbose=False)
    distance.scaling_layer = nn.Identity()
    distance.net = _Trunk(perception)
    distance.L = len(perception.map_channels)
    distance.pnet_type = "perception"
    return distance.eval().requires_grad_(False)


def coordinates(maps: list[Tensor]) -> Tensor:
    """Coordinates (N, K) of images whose `PerceptionNet.maps` are known; `perceptual_distance` is their `separation`.

    Each map is normalised over its channels as in lpips, and divided by the root of its number of positions, so that
    the mean over positions is a part of one sum. An image that is compared often passes the net once.
    """
    normal = [lpips.normalize_tensor(map.float()) / math.sqrt(map.shape[2] * map.shape[3]) for map in maps]
    return torch.cat([map.permute(0, 2, 3, 1).flatten(1) for map in normal], dim=1)


def separation(first: Tensor, second: Tensor) -> Tensor:
    """Squared distances (N,) of rows (N, K) of `coordinates`."""
    return (first - second).square().sum(dim=1)


def structural_similarity(images: Tensor, others: Tensor) -> Tensor:
    """SSIM of pairs of images (N, 3, H, W) in [-1, 1], at least 11 pixels a side -> (N,) in [-1, 1].

    The window is a Gaussian of 11 pixels with a standard deviation of 1.5; the mean is over channels and positions.
    """
    first, second = (images + 1) / 2, (others + 1) / 2
    if images.device.type == "cpu" and images.shape[-1] > LARGE and not torch.is_grad_enabled():
        return similarity(first, second)
    return ssim(first, second, data_range=1.0, size_average=False)
