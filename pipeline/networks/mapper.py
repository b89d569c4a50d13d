"""The L2L mapper: a code and a change of attribute values -> the edited code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANGE_GAIN = 12.0  # of the start values that da meets: its few small entries shall weigh as much as all of w
LAST_LAYER_SCALE = 0.01  # of the usual start values, in the residual form: training starts near w' = w


class Mapper(nn.Module):
    """f(w, da): `layers` fully connected layers of `width` with tanh, and a linear one back to a code.

    w (N, 512) and da (N, A) are concatenated. Codes are standardised on the way in by `mean` (512,) and `scale`
    (512,), buffers measured on the training codes, and scaled back on the way out: w + scale g(w, da) if `residual`,
    else mean + scale g(w, da). Weights are drawn from the generator `rng`, or left to be loaded.
    """

    mean: Tensor
    scale: Tensor

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
        self.last = nn.Linear(widths[-1], w_dim)
        self.register_buffer("mean", torch.zeros(w_dim))
        self.register_buffer("scale", torch.ones(w_dim))
        if rng is not None:
            self.draw(rng)

    @torch.no_grad()
    def draw(self, rng: torch.Generator) -> None:
        """Glorot's uniform start values for tanh, biases zero."""
        for layer in [*self.hidden, self.last]:
            assert isinstance(layer, nn.Linear)
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
        x = torch.cat([(w - self.mean) / self.scale, change], dim=1)
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        x = self.last(x) * self.scale
        return (w if self.residual else self.mean) + x
