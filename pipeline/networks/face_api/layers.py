"""What face-api's networks share: their input, separable convolutions, and reading their files.

Modules have the manifest's names: `exit_flow/separable_conv/bias` belongs to `exit_flow.separable_conv`. Axes are
turned from TensorFlow's order to torch's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import WeightsError
from pipeline.networks.tfjs.padding import SameConv2d
from pipeline.networks.tfjs.weights import read_weights

MEAN = (122.782, 117.001, 104.298)  # red, green, blue, of 255: the package's `meanRgb`
# The manifest's last name of a tensor -> torch's, and the order of axes from TensorFlow's.
KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "filters": ("weight", (3, 2, 0, 1)),
    "depthwise_filter": ("depthwise.weight", (2, 3, 0, 1)),
    "pointwise_filter": ("pointwise.weight", (3, 2, 0, 1)),
    "weights": ("weight", (1, 0)),
    "fc": ("fc.weight", (1, 0)),
    "bias": ("bias", (0,)),
}

Network = TypeVar("Network", bound=nn.Module)


class Input(nn.Module):
    """Images (N, 3, H, H) in [-1, 1] -> the package's input (N, 3, size, size): (pixel - mean) / 255."""

    mean: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            size = (self.size, self.size)
            images = functional.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
        return ((images + 1) * 127.5 - self.mean) / 255


class Separable(nn.Module):
    """A depthwise 3x3 convolution with padding SAME, then a pointwise one with a bias."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = SameConv2d(inputs, inputs, 3, stride, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.pointwise(self.depthwise(maps))
        return result


def filled(network: Network, tensors: Mapping[str, Tensor], path: Path) -> Network:
    """The network with the tensors of the file `path`, under the manifest's names; frozen, in evaluation mode.

    Raises WeightsError if the network has others.
    """
    state = dict(_turned(name, value, tensors, path) for name, value in tensors.items())
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not hold face-api's {type(network).__name__}: {error}") from error
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)


def read_network(network: Network, manifest: Path, data: Path) -> Network:
    """The network with the weights of a manifest and its .bin. Raises WeightsError."""
    return filled(network, read_weights(manifest, data), data)


def _turned(name: str, value: Tensor, tensors: Mapping[str, Tensor], path: Path) -> tuple[str, Tensor]:
    """A tensor's name and value in torch. The bias of a separable convolution belongs to its pointwise part."""
    parent, _, kind = name.rpartition("/")
    if kind not in KINDS or value.ndim != len(KINDS[kind][1]) or "." in name:
        raise WeightsError(
            f"{path}: tensor {name!r} of shape {tuple(value.shape)} belongs to no network of face-api. Known are "
            f"{', '.join(KINDS)}."
        )
    last, axes = KINDS[kind]
    if kind == "bias" and f"{parent}/pointwise_filter" in tensors:
        last = "pointwise.bias"
    modules = parent.replace("/", ".")
    return f"{modules}.{last}" if modules else last, value.permute(axes).contiguous()
