"""Judges in bfloat16: convolutions with weights that are rounded once, everything else in float32.

A normalisation that follows a convolution is folded into its weights before they are rounded, which saves a pass over
the feature map. Sums inside a convolution, global averages and linear layers stay in float32, so a judge's answers are
not rounded to bfloat16's three digits. Measured changes of every answer: docs/reference/benchmarks.md.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network")


def in_bfloat16(network: Network) -> Network:
    """The network with its convolutions in bfloat16, changed in place; images and answers are float32 as before.

    The network must be in evaluation mode. What has no convolution, or is compiled (TorchScript), stays as it is.
    """
    if not isinstance(network, nn.Module) or isinstance(network, torch.jit.ScriptModule):
        return network
    for module in list(network.modules()):
        _fold(module)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16)
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(_in_the_type_of_the_weight)
    return network


def _fold(module: nn.Module) -> None:
    """Fold each normalisation into the convolution that is the child before it and has as many channels."""
    for (name, convolution), (of_norm, norm) in pairwise(list(module.named_children())):
        if not (isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
            continue
        if convolution.out_channels == norm.num_features:
            folded = fuse_conv_bn_eval(convolution, norm).requires_grad_(False)
            setattr(module, name, folded.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
            setattr(module, of_norm, nn.Identity())


def _in_the_type_of_the_weight(module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].to(module.weight.dtype), *inputs[1:])
