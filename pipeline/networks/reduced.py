"""A network that computes in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")  # torch's names of instructions for bfloat16


class InBfloat16(nn.Module):
    """A network whose convolutions and linear layers compute in bfloat16, and which returns float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            result: Tensor = self.network(images)
        return result.float()


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products in bfloat16; true where torch is too old to say."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return ask is None or any(ask().get(name, False) for name in INSTRUCTIONS)
