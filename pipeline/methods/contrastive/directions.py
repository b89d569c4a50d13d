"""K direction models computed together: a code -> K unit directions.

>>> import torch
>>> model = Directions(3, 512, depth=0, rng=torch.Generator().manual_seed(0))
>>> model(torch.zeros(2, 512)).norm(dim=2)  # 3 directions at 2 codes
tensor([[1.0000, 1.0000],
        [1.0000, 1.0000],
        [1.0000, 1.0000]], ...)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NORM_EPS = 1e-5  # of the batch norms, as torch's
MOMENTUM = 0.1  # of their running statistics


class Directions(nn.Module):
    """d_1 .. d_K of a code w, each of unit norm.

    With `depth` 0, K free vectors, the same for every w. From 1, K networks of `depth` fully connected layers as wide
    as w, with batch norm and ReLU between them; the first layer has a bias, the last of several has none. They compute
    what K separate `nn.Sequential` would. `rng` draws the weights as torch's layers do; without it they are zeros, to
    be loaded.
    """

    def __init__(self, count: int, w_dim: int, *, depth: int, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.count, self.w_dim, self.depth = count, w_dim, depth
        size = (count, w_dim) if depth == 0 else (count, w_dim, w_dim)
        biased = range(max(1, depth - 1)) if depth else range(0)
        self.weights = nn.ParameterList(torch.zeros(size) for _ in range(max(1, depth)))
        self.biases = nn.ParameterList(torch.zeros(count, 1, w_dim) for _ in biased)
        norms = range(max(0, depth - 1))
        self.gains = nn.ParameterList(torch.ones(count, 1, w_dim) for _ in norms)
        self.shifts = nn.ParameterList(torch.zeros(count, 1, w_dim) for _ in norms)
        for index in norms:
            self.register_buffer(f"mean{index}", torch.zeros(count, 1, w_dim))
            self.register_buffer(f"variance{index}", torch.ones(count, 1, w_dim))
        if rng is not None:
            self.draw(rng)

    @torch.no_grad()
    def draw(self, rng: torch.Generator) -> None:
        """Start values: standard normal for free vectors, else even within 1 / sqrt(w_dim)."""
        if self.depth == 0:
            self.weights[0].copy_(torch.randn(self.weights[0].shape, generator=rng))
            return
        bound = self.w_dim**-0.5
        for tensor in (*self.weights, *self.biases):
            tensor.copy_((torch.rand(tensor.shape, generator=rng) * 2 - 1) * bound)

    def forward(self, w: Tensor) -> Tensor:
        """w (N, w_dim) -> (K, N, w_dim)."""
        return self._run(w, slice(None))

    def one(self, w: Tensor, index: int) -> Tensor:
        """w (N, w_dim) -> direction `index` at each code, (N, w_dim)."""
        return self._run(w, slice(index, index + 1))[0]

    def _run(self, w: Tensor, chosen: slice) -> Tensor:
        if self.depth == 0:
            x = self.weights[0][chosen, None].expand(-1, len(w), -1)
            return nn.functional.normalize(x, dim=2)
        x = w
        for layer, weight in enumerate(self.weights):
            x = x @ weight[chosen].transpose(1, 2)
            if layer < len(self.biases):
                x = x + self.biases[layer][chosen]
            if layer < len(self.gains):
                x = torch.relu(self._normalized(x, layer, chosen))
        return nn.functional.normalize(x, dim=2)

    def _normalized(self, x: Tensor, layer: int, chosen: slice) -> Tensor:
        """x (K, N, w_dim) after batch norm `layer`: by batch statistics in training, else by running statistics."""
        mean, variance = self.get_buffer(f"mean{layer}"), self.get_buffer(f"variance{layer}")
        if self.training:
            batch_variance, batch_mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
            with torch.no_grad():
                mean[chosen] = torch.lerp(mean[chosen], batch_mean, MOMENTUM)
                unbiased = batch_variance * (x.shape[1] / max(1, x.shape[1] - 1))
                variance[chosen] = torch.lerp(variance[chosen], unbiased, MOMENTUM)
        else:
            batch_mean, batch_variance = mean[chosen], variance[chosen]
        x = (x - batch_mean) * torch.rsqrt(batch_variance + NORM_EPS)
        return x * self.gains[layer][chosen] + self.shifts[layer][chosen]
