"""A state dict in the layout of efficientnet-lite0-57934424.pth, or of lite1, with random weights, always the same."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LITE0, LITE1 = (1, 2, 2, 3, 3, 4, 1), (1, 3, 3, 4, 4, 5, 1)  # blocks of each stage
# Of each stage: outputs, kernel, expansion.
STAGES = ((16, 3, 1), (24, 3, 6), (40, 5, 6), (80, 3, 6), (112, 5, 6), (192, 5, 6), (320, 3, 6))


def state(blocks: tuple[int, ...] = LITE0) -> dict[str, Tensor]:
    """The tensors by the published names."""
    rng = np.random.default_rng(57934424)
    tensors: dict[str, Tensor] = {}

    def convolution(name: str, outputs: int, inputs: int, kernel: int) -> None:
        weight = rng.normal(0, (2 / (inputs * kernel**2)) ** 0.5, (outputs, inputs, kernel, kernel))
        tensors[f"{name}.weight"] = torch.from_numpy(weight.astype(np.float32))

    def norm(name: str, channels: int) -> None:
        values = {"weight": rng.uniform(0.5, 1, channels), "bias": rng.normal(0, 0.2, channels)}
        values |= {"running_mean": rng.normal(0, 0.2, channels), "running_var": rng.uniform(0.5, 1.5, channels)}
        tensors.update({f"{name}.{key}": torch.from_numpy(value.astype(np.float32)) for key, value in values.items()})
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(1)

    convolution("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    of_blocks = [stage for count, stage in zip(blocks, STAGES, strict=True) for _ in range(count)]
    inputs = 32
    for index, (outputs, kernel, expansion) in enumerate(of_blocks):
        wide = inputs * expansion
        if expansion > 1:
            convolution(f"_blocks.{index}._expand_conv", wide, inputs, 1)
            norm(f"_blocks.{index}._bn0", wide)
        convolution(f"_blocks.{index}._depthwise_conv", wide, 1, kernel)
        norm(f"_blocks.{index}._bn1", wide)
        convolution(f"_blocks.{index}._project_conv", outputs, wide, 1)
        norm(f"_blocks.{index}._bn2", outputs)
        inputs = outputs
    convolution("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    tensors["_fc.weight"] = torch.from_numpy(rng.normal(0, 0.03, (1000, 1280)).astype(np.float32))
    tensors["_fc.bias"] = torch.from_numpy(rng.normal(0, 0.1, 1000).astype(np.float32))
    return tensors
