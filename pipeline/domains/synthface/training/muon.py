"""Muon for matrices and kernels, Adam for the rest, behind the interface of one optimizer.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024: the step of a weight matrix is its
momentum with all singular values set to the same number. torch's Muon accepts only matrices, so a kernel
(out, in, k, k) is reshaped to (out, in k k). Distillation of the generator needs several times fewer images with Muon
than with Adam (docs/explanation/synthface.md has the figures).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SMALLEST = 4  # smallest number of outputs of a matrix for Muon; smaller ones (toRGB) go to Adam


class MuonAndAdam:
    """One optimizer of `modules`: their matrices and kernels by Muon, everything else by AdamW.

    A training loop sets the learning rate of Muon, whose steps have a root mean square of 0.2 x rate; Adam's rate is
    `adam_scale` times as large.
    """

    def __init__(
        self, modules: list[nn.Module], *, adam_scale: float, betas: tuple[float, float], decay: float = 0.0
    ) -> None:
        parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        self._kernels = [p for p in parameters if p.dim() > 1 and p.shape[0] >= SMALLEST]
        chosen = {id(p) for p in self._kernels}
        rest = [p for p in parameters if id(p) not in chosen]
        self._flat = [p.detach().reshape(p.shape[0], -1).clone() for p in self._kernels]
        self._muon = torch.optim.Muon(self._flat, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        self._adam = torch.optim.AdamW(rest, betas=betas, weight_decay=decay)
        for group in self._adam.param_groups:
            group["scale"] = adam_scale

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups of both optimizers, so that a training loop can set their rates."""
        return [*self._muon.param_groups, *self._adam.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients."""
        for kernel in self._kernels:
            kernel.grad = None
        self._adam.zero_grad(set_to_none=set_to_none)

    @torch.no_grad()
    def step(self) -> None:
        """One step along the gradients of the last `backward`."""
        for kernel, flat in zip(self._kernels, self._flat, strict=True):
            flat.copy_(kernel.reshape(flat.shape))
            flat.grad = None if kernel.grad is None else kernel.grad.reshape(flat.shape)
        self._muon.step()
        for kernel, flat in zip(self._kernels, self._flat, strict=True):
            kernel.copy_(flat.reshape(kernel.shape))
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """The state for an exact continuation."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])
