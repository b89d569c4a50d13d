"""StyleFlow's continuous normalising flow: codes and conditions <-> codes of a standard normal distribution.

Encoding and decoding with the same condition returns the code; with another condition it is an edit:

>>> import torch
>>> flow = Flow(2, (4,), 1, rng=torch.Generator().manual_seed(0)).eval()
>>> x, condition = torch.tensor([[1.0, -0.5]]), torch.tensor([[0.3]])
>>> with torch.no_grad():
...     z = flow.encode(x, condition, tolerance=1e-5)
...     same, edited = (flow.decode(z, c, tolerance=1e-5) for c in (condition, condition + 1))
>>> same
tensor([[ 1.000, -0.500]])
>>> bool((edited - x).norm() > 0.01)
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

EPSILON = 1e-4  # added to the variances of the norms
DECAY = 0.1  # of the running statistics of the norms: the weight of a new batch
MAX_STEPS = 1000  # of the solver; an equation that needs more counts as not solvable


class UnsolvableError(ArithmeticError):
    """The solver's step underflowed, or it took more than MAX_STEPS."""


class ConcatSquash(nn.Module):
    """y = (A x + b) sigmoid(G s + g) + B s, where s (N, 1 + conditions) is the time and the conditions."""

    def __init__(self, inputs: int, outputs: int, conditions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(1 + conditions, outputs)
        self.bias = nn.Linear(1 + conditions, outputs, bias=False)

    def forward(self, x: Tensor, s: Tensor, tangent: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (N, inputs) -> y (N, outputs), and the derivative of y along `tangent` (N, inputs), if given."""
        gate, bias = self.gate(s).sigmoid(), self.bias(s)
        if tangent is None:
            return self.linear(x) * gate + bias, None
        # One product for both reads the weights once.
        both = torch.cat([x, tangent]) @ self.linear.weight.T
        value, along = both.chunk(2)
        return (value + self.linear.bias) * gate + bias, along * gate


class Field(nn.Module):
    """dy/dt = f(y, t, c): concat-squash layers with tanh between them."""

    def __init__(self, width: int, hidden: tuple[int, ...], conditions: int) -> None:
        super().__init__()
        widths = [width, *hidden, width]
        self.layers = nn.ModuleList(ConcatSquash(a, b, conditions) for a, b in zip(widths, widths[1:], strict=False))

    def forward(self, y: Tensor, t: Tensor, c: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """f(y, t, c) (N, width) at one time t and, with `noise` e (N, width), Hutchinson's e^T (df/dy) e (N,).

        The derivative along e is computed forward through the layers. It is the number that the authors compute
        backward, and the gradient then differentiates one pass instead of two.
        """
        s = torch.cat([t.to(y).expand(len(y), 1), c], dim=1)
        tangent = noise
        for number, layer in enumerate(self.layers):
            if number:
                y = torch.tanh(y)
                tangent = None if tangent is None else tangent * (1 - y * y)
            y, tangent = layer(y, s, tangent)
        if tangent is None or noise is None:
            return y, None
        return y, (tangent * noise).sum(dim=1)


class MovingNorm(nn.Module):
    """y = (x - mean) / sqrt(variance + EPSILON) exp(log_scale) + shift, each (width,).

    It uses running statistics, which start at 0 and 1, in training too. A batch updates them after it was normalised by
    them, and no gradient passes through them.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(width))
        self.shift = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, width) -> y (N, width), and the logarithm of |dy/dx|, a scalar."""
        log_slope = self.log_scale - 0.5 * torch.log(self.variance + EPSILON)
        y = (x - self.mean) * log_slope.exp() + self.shift
        if self.training:
            with torch.no_grad():
                variance, mean = torch.var_mean(x, dim=0)
                self.mean.lerp_(mean, DECAY)
                self.variance.lerp_(variance, DECAY)
        return y, log_slope.sum()

    def inverse(self, y: Tensor) -> Tensor:
        """The x (N, width) of y (N, width), by the running statistics."""
        return (y - self.shift) * (0.5 * torch.log(self.variance + EPSILON) - self.log_scale).exp() + self.mean


class Flow(nn.Module):
    """A norm, a conditional flow, a norm. z = Phi(x, c) is standard normal where x is distributed as p(x | c).

    The flow solves dy/dt = f(y, t, c) from 0 to a learned T = root_time^2, as dy/ds = T f(y, T s, c) from 0 to 1, by
    dopri5 with the absolute and relative tolerance `tolerance`. `rng` draws the weights; without it they are to be
    loaded.
    """

    def __init__(
        self, width: int, hidden: tuple[int, ...], conditions: int, *, rng: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.field = Field(width, hidden, conditions)
        self.first, self.last = MovingNorm(width), MovingNorm(width)
        self.root_time = nn.Parameter(torch.ones(()))
        if rng is not None:
            self.draw(rng)

    @torch.no_grad()
    def draw(self, rng: torch.Generator) -> None:
        """The start values of torch's linear layers: weights and biases even in +-1/sqrt(inputs)."""
        for layer in self.field.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                for tensor in (layer.weight, layer.bias):
                    if tensor is not None:
                        tensor.copy_((torch.rand(tensor.shape, generator=rng) * 2 - 1) * bound)

    def encode(self, x: Tensor, c: Tensor, tolerance: float) -> Tensor:
        """z = Phi(x, c) (N, width) of x (N, width) and conditions c (N, conditions). Raises UnsolvableError."""
        y = self.first(x)[0]
        return self.last(self._solve(y, c, 0.0, 1.0, tolerance))[0]

    def decode(self, z: Tensor, c: Tensor, tolerance: float) -> Tensor:
        """x (N, width) with Phi(x, c) = z (N, width). Raises UnsolvableError."""
        return self.first.inverse(self._solve(self.last.inverse(z), c, 1.0, 0.0, tolerance))

    def log_density(self, x: Tensor, c: Tensor, noise: Tensor, tolerance: float) -> Tensor:
        """log p(x | c) (N,), with the trace estimated along `noise` (N, width), which is fixed for a solve."""
        y, first = self.first(x)

        def slope(s: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            end = self.root_time.square()
            along, trace = self.field(state[0], end * s, c, noise)
            assert trace is not None
            return end * along, end * trace

        states = _dopri5(slope, (y, y.new_zeros(len(y))), 0.0, 1.0, tolerance, None)
        z, last = self.last(states[0])
        normal = -0.5 * (z.square().sum(dim=1) + z.shape[1] * math.log(2 * math.pi))
        return normal + first + states[1] + last

    def _solve(self, y: Tensor, c: Tensor, start: float, stop: float, tolerance: float) -> Tensor:
        if not len(y):
            return y
        end = self.root_time.square()

        def slope(s: Tensor, y: Tensor) -> Tensor:
            return end * self.field(y, end * s, c)[0]

        shape = y.shape

        def worst(error: Tensor) -> Tensor:
            """The largest root mean square of a code, so that no code is less exact in a batch."""
            return error.view(shape).square().mean(dim=1).sqrt().max()

        return _dopri5(slope, y, start, stop, tolerance, worst)


def _dopri5(
    slope: Callable[..., Any],
    state: Tensor | tuple[Tensor, ...],
    start: float,
    stop: float,
    tolerance: float,
    norm: Callable[..., Tensor] | None,
) -> Any:
    """The state at `stop`. Raises UnsolvableError."""
    first = state if isinstance(state, Tensor) else state[0]
    times = torch.tensor([start, stop], device=first.device, dtype=first.dtype)
    # The last step ends at `stop`; otherwise the solver goes beyond and interpolates, less exactly than its tolerance.
    options = {"max_num_steps": MAX_STEPS, "step_t": times[1:]} | ({"norm": norm} if norm is not None else {})
    try:
        states = odeint(slope, state, times, atol=tolerance, rtol=tolerance, method="dopri5", options=options)
    except AssertionError as error:  # torchdiffeq's: the step underflowed, or there were too many
        raise UnsolvableError(str(error)) from error
    return states[-1] if isinstance(states, Tensor) else tuple(part[-1] for part in states)
