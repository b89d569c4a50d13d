"""The mapping network: z -> w -> ws, with truncation.

Names, shapes and initial values agree with NVIDIA's stylegan2-ada-pytorch (`training/networks.py`), but the average w
is never updated as a side effect.
"""

import torch
from torch import Tensor, nn

from stylegan.architecture import Architecture
from stylegan.layers import FullyConnected, normalize_second_moment


class MappingNetwork(nn.Module):
    """z -> w: `mapping_layers` fully connected layers on the normalised z.

    By default these layers learn at a hundredth of the rate of the synthesis network's (`lr_multiplier`).
    """

    w_avg: Tensor
    """The average w (w_dim,), towards which truncation moves."""

    def __init__(self, architecture: Architecture, *, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        self.z_dim = architecture.z_dim
        self.w_dim = architecture.w_dim
        self.num_ws = architecture.num_ws
        self.num_layers = architecture.mapping_layers
        for index in range(self.num_layers):
            features_in = self.z_dim if index == 0 else self.w_dim
            layer = FullyConnected(features_in, self.w_dim, activate=True, lr_multiplier=lr_multiplier)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(self.w_dim))

    def map_to_w(self, z: Tensor) -> Tensor:
        """z (batch, z_dim) -> w (batch, w_dim), not truncated. Raises ValueError for any other shape."""
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"z must be (batch, {self.z_dim}), not {tuple(z.shape)}.")
        w = normalize_second_moment(z)
        for index in range(self.num_layers):
            w = self.get_submodule(f"fc{index}")(w)
        return w

    def broadcast(self, w: Tensor, *, truncation_psi: float = 1.0, truncation_cutoff: int | None = None) -> Tensor:
        """w (batch, w_dim) -> ws (batch, num_ws, w_dim), truncated: moved towards the average w.

        A `truncation_psi` of 1 leaves w unchanged, 0 replaces it by the average. Codes from index `truncation_cutoff`
        on are not truncated.
        """
        ws = w[:, None].expand(-1, self.num_ws, -1)
        if truncation_psi == 1.0:
            return ws.contiguous()
        psi = torch.full((self.num_ws, 1), float(truncation_psi), dtype=w.dtype, device=w.device)
        if truncation_cutoff is not None:
            psi[truncation_cutoff:] = 1.0
        return torch.lerp(self.w_avg.to(w.dtype), ws, psi)

    def forward(self, z: Tensor, *, truncation_psi: float = 1.0, truncation_cutoff: int | None = None) -> Tensor:
        """z (batch, z_dim) -> ws (batch, num_ws, w_dim)."""
        return self.broadcast(self.map_to_w(z), truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)

    @torch.no_grad()
    def track_average_w(self, w: Tensor, *, decay: float = 0.995) -> None:
        """Update the running average w with the mean of w (batch, w_dim). For training loops."""
        self.w_avg.lerp_(w.detach().mean(dim=0).to(self.w_avg.dtype), 1 - decay)

    @torch.no_grad()
    def measure_average_w(self, *, samples: int = 100_000, seed: int = 0) -> None:
        """Set the average w to the mean w of `samples` random z."""
        rng = torch.Generator().manual_seed(seed)
        total = torch.zeros(self.w_dim, dtype=torch.float64)
        for first in range(0, samples, 4096):
            z = torch.randn(min(4096, samples - first), self.z_dim, generator=rng)
            total += self.map_to_w(z.to(self.w_avg)).sum(dim=0).double().cpu()
        self.w_avg.copy_(total / samples)
