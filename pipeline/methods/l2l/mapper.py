"""The L2L mapper: a code (or one per layer) and a change of attribute values -> the edited code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANGE_GAIN = 12.0  # of the start values for da: its few small entries must weigh as much as all of w
LAST_LAYER_SCALE = 0.01  # of the start values of the last layer, if residual: training starts near w' = w


class Mapper(nn.Module):
    """f(w, da): `layers` fully connected layers of `width` with tanh, and a linear layer back to a code.

    w (N, 512) and da (N, A) are concatenated. `mean` (512,) and `scale` (512,), buffers measured on the training codes,
    standardise w at the input and scale the output back: w + scale g(w, da) if `residual`, else mean + scale g(w, da).
    da, differences of attribute values, is divided by `unit` (A,), a buffer too (`scales.py`). `rng` draws the weights;
    without it they are to be loaded.

    >>> mapper = Mapper(512, 35, width=8, layers=1, residual=True, rng=torch.Generator().manual_seed(0))
    >>> w = torch.zeros(2, 512)
    >>> bool((mapper(w, torch.ones(2, 35)) - w).abs().max() < 0.05)  # before training it hardly moves a code
    True
    """

    mean: Tensor
    scale: Tensor
    unit: Tensor

    def __init__(
        self,
        w_dim: int,
        attributes: int,
        *,
        width: int,
        layers: int,
        residual: bool,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.residual, self.attributes = residual, attributes
        widths = [w_dim + attributes, *[width] * layers]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.last: nn.Linear | PerLayer = nn.Linear(widths[-1], w_dim)
        self.register_buffer("mean", torch.zeros(w_dim))
        self.register_buffer("scale", torch.ones(w_dim))
        self.register_buffer("unit", torch.ones(attributes))
        if rng is not None:
            self.draw(rng)

    @torch.no_grad()
    def draw(self, rng: torch.Generator) -> None:
        """Glorot's uniform start values for tanh; biases of zero."""
        for layer in [*self.hidden, self.last]:
            assert isinstance(layer, nn.Linear | PerLayer)
            bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
            start = torch.rand(layer.weight.shape, generator=rng) * 2 - 1
            layer.weight.copy_(start * bound)
            layer.bias.zero_()
            if layer is self.hidden[0]:
                layer.weight[:, -self.attributes :].mul_(CHANGE_GAIN)
        if self.residual:
            self.last.weight.mul_(LAST_LAYER_SCALE)

    def forward(self, w: Tensor, change: Tensor) -> Tensor:
        """w (N, w_dim), change (N, attributes) -> (N, w_dim)."""
        x = self.last(self.hidden_of(w, change)) * self.scale
        return (w if self.residual else self.mean) + x

    def hidden_of(self, w: Tensor, change: Tensor) -> Tensor:
        """The last hidden layer (..., width) of w (..., w_dim) and change (..., attributes)."""
        x = torch.cat([(w - self.mean) / self.scale, change / self.unit], dim=-1)
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return x


class LayerMapper(Mapper):
    """f in W+: shared hidden layers read the code of each layer; each of `num_ws` layers has its last layer.

    So a code that is the same in every layer can be edited to differ between layers.
    """

    def __init__(
        self,
        w_dim: int,
        attributes: int,
        num_ws: int,
        *,
        width: int,
        layers: int,
        residual: bool,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__(w_dim, attributes, width=width, layers=layers, residual=residual)
        self.last = PerLayer(num_ws, width, w_dim)
        if rng is not None:
            self.draw(rng)

    def forward(self, w: Tensor, change: Tensor) -> Tensor:
        """w (N, num_ws, w_dim), change (N, attributes) -> (N, num_ws, w_dim)."""
        x = self.hidden_of(w, change[:, None].expand(-1, w.shape[1], -1))
        x = self.last(x) * self.scale
        return (w if self.residual else self.mean) + x


class PerLayer(nn.Module):
    """A linear map for each layer of the generator: weight (num_ws, out, in), bias (num_ws, out)."""

    def __init__(self, num_ws: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.zeros(num_ws, out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(num_ws, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """(N, num_ws, features in) -> (N, num_ws, features out)."""
        return torch.einsum("nli,loi->nlo", x, self.weight) + self.bias
