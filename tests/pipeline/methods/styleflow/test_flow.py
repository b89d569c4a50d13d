"""StyleFlow's flow against slow, obvious computations: the exact Jacobian, many small steps, the authors' formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.methods.styleflow.flow import EPSILON, ConcatSquash, Field, Flow, MovingNorm, UnsolvableError

WIDTH, CONDITIONS, TIGHT = 4, 3, 1e-9


@pytest.fixture(autouse=True)
def doubles() -> object:
    """Double precision, so that a disagreement is one of formulas."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lively(width: int = WIDTH, hidden: tuple[int, ...] = (8, 8)) -> Flow:
    """A flow that moves codes far, with norms that have seen data, in evaluation mode."""
    flow = Flow(width, hidden, CONDITIONS, rng=generator(1))
    with torch.no_grad():
        for layer in flow.field.layers:
            layer.linear.weight.mul_(2.5)  # type: ignore[union-attr, operator]
        flow.root_time.fill_(1.3)
        for norm in (flow.first, flow.last):
            norm.mean.copy_(torch.randn(width, generator=generator(2)))
            norm.variance.copy_(torch.rand(width, generator=generator(3)) + 0.5)
            norm.log_scale.copy_(0.3 * torch.randn(width, generator=generator(4)))
            norm.shift.copy_(torch.randn(width, generator=generator(5)))
    return flow.eval().requires_grad_(False)


def codes(count: int = 5, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    return torch.randn(count, width, generator=generator(6)), torch.randn(count, CONDITIONS, generator=generator(7))


def jacobian(function: object, x: Tensor) -> Tensor:
    found = torch.autograd.functional.jacobian(function, x)  # type: ignore[arg-type, no-untyped-call]
    assert isinstance(found, Tensor)
    return found


def test_a_layer_is_the_authors_formula() -> None:
    layer, (x, s) = ConcatSquash(WIDTH, 6, CONDITIONS - 1), codes()
    expected = torch.empty(5, 6)
    for row in range(5):
        for unit in range(6):
            gate = torch.sigmoid(layer.gate.weight[unit] @ s[row] + layer.gate.bias[unit])
            straight = layer.linear.weight[unit] @ x[row] + layer.linear.bias[unit]
            expected[row, unit] = straight * gate + layer.bias.weight[unit] @ s[row]
    assert torch.allclose(layer(x, s)[0], expected)
    assert torch.allclose(layer(x, s, x)[0], expected)


def test_the_size_is_the_published_one() -> None:
    """1,689,601 weights and 2,048 in the norms, with the authors' 17 conditions."""
    flow = Flow(512, (512,) * 5, 17)
    norms = sum(parameter.numel() for norm in (flow.first, flow.last) for parameter in norm.parameters())
    assert (sum(parameter.numel() for parameter in flow.parameters()) - norms, norms) == (1_689_601, 2_048)


def test_the_trace_estimate_is_that_of_the_jacobian() -> None:
    field, (y, c), t = lively().field, codes(), torch.tensor(0.4)
    noise = torch.randn(5, WIDTH, generator=generator(8))
    slope, estimate = field(y, t, c, noise)
    assert estimate is not None
    assert torch.allclose(slope, field(y, t, c)[0])
    for row in range(5):
        exact = jacobian(lambda code, row=row: field(code[None], t, c[row : row + 1])[0][0], y[row])
        assert torch.allclose(estimate[row], noise[row] @ exact @ noise[row])


def test_encoding_agrees_with_many_small_steps() -> None:
    """Runge and Kutta's classical steps, 400 of them, between norms that are written out."""
    flow, (x, c) = lively(), codes()
    end = float(flow.root_time) ** 2

    def norm(x: Tensor, layer: MovingNorm) -> Tensor:
        return (x - layer.mean) / (layer.variance + EPSILON).sqrt() * layer.log_scale.exp() + layer.shift

    y, step = norm(x, flow.first), end / 400
    for number in range(400):
        t = torch.tensor(number * step)
        k1 = flow.field(y, t, c)[0]
        k2 = flow.field(y + step / 2 * k1, t + step / 2, c)[0]
        k3 = flow.field(y + step / 2 * k2, t + step / 2, c)[0]
        k4 = flow.field(y + step * k3, t + step, c)[0]
        y = y + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    assert torch.allclose(flow.encode(x, c, TIGHT), norm(y, flow.last), atol=1e-6)
    assert float((norm(y, flow.last) - norm(norm(x, flow.first), flow.last)).abs().max()) > 0.1, "the flow flows"


def test_the_density_has_the_exact_jacobian() -> None:
    """log N(z) + log |det dz/dx| by autograd; Hutchinson's noises 2 e_i average to the exact trace."""
    flow, (x, c) = lively(), codes()
    noises = math.sqrt(WIDTH) * torch.eye(WIDTH)
    found = torch.stack([flow.log_density(x, c, noise.expand(5, -1), TIGHT) for noise in noises]).mean(dim=0)
    for row in range(5):
        whole = jacobian(lambda code, row=row: flow.encode(code[None], c[row : row + 1], TIGHT)[0], x[row])
        z = flow.encode(x[row : row + 1], c[row : row + 1], TIGHT)[0]
        normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
        assert float(found[row]) == pytest.approx(float(normal + whole.slogdet().logabsdet), abs=1e-5)


@pytest.mark.parametrize(("tolerance", "error"), [(1e-5, 1e-3), (1e-8, 1e-6)])
def test_decoding_undoes_encoding(tolerance: float, error: float) -> None:
    flow, (x, c) = lively(32, (32, 32)), codes(20, 32)
    z = flow.encode(x, c, tolerance)
    assert float((flow.decode(z, c, tolerance) - x).abs().max()) < error
    assert float((z - x).abs().max()) > 0.5


def test_codes_do_not_depend_on_their_batch() -> None:
    """An easy code and a hard one: alone and together."""
    flow, (x, c) = lively(), codes(2)
    x[1], c[1] = 30 * x[1], 10 * c[1]
    together = flow.encode(x, c, 1e-6)
    alone = torch.cat([flow.encode(x[row : row + 1], c[row : row + 1], 1e-6) for row in range(2)])
    assert torch.allclose(together, alone, rtol=1e-5, atol=1e-5)


def test_the_end_time_is_learned() -> None:
    """Its gradient is that of a difference quotient."""
    flow, (x, c) = lively(), codes()
    noise = torch.randn(5, WIDTH, generator=generator(9))

    def loss(root: float) -> Tensor:
        with torch.no_grad():
            flow.root_time.fill_(root)
        return flow.log_density(x, c, noise, TIGHT).sum()

    slope = (loss(1.3 + 1e-5) - loss(1.3 - 1e-5)) / 2e-5
    flow.root_time.requires_grad_(True)
    loss(1.3).backward()
    assert flow.root_time.grad is not None
    assert float(flow.root_time.grad) == pytest.approx(float(slope), rel=1e-4)


def test_a_norm_in_training_normalises_by_its_running_statistics_and_then_moves_them() -> None:
    """The authors': batch for batch by what the batches before it left, never by its own mean and variance."""
    norm = MovingNorm(WIDTH).train()
    norm.load_state_dict({**norm.state_dict(), "log_scale": torch.tensor([0.3, -0.2, 0.0, 0.1])})
    mean, variance = torch.zeros(WIDTH), torch.ones(WIDTH)
    for batch in range(3):
        x = 3 * torch.randn(200, WIDTH, generator=generator(10 + batch)) + 5
        y, log_slope = norm(x)
        slope = norm.log_scale.exp() / (variance + EPSILON).sqrt()
        assert torch.allclose(y, (x - mean) * slope)
        assert log_slope.item() == pytest.approx(slope.log().sum().item())
        mean = 0.9 * mean + 0.1 * x.mean(dim=0)
        variance = 0.9 * variance + 0.1 * x.var(dim=0)
        assert torch.allclose(norm.mean, mean) and torch.allclose(norm.variance, variance)


def test_no_gradient_goes_through_the_statistics() -> None:
    norm, x = MovingNorm(WIDTH).train(), codes()[0].requires_grad_(True)
    y, log_slope = norm(x)
    (y.sum() + log_slope).backward()
    assert x.grad is not None and torch.allclose(x.grad, torch.full_like(x, (1 + EPSILON) ** -0.5))


def test_a_norm_in_evaluation_has_an_inverse_and_a_determinant() -> None:
    norm, (x, _) = lively().first, codes()
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    y, log_slope = norm(x)
    assert torch.allclose(norm.inverse(y), x)
    assert float(log_slope) == pytest.approx(float(jacobian(lambda code: norm(code)[0], x[0]).slogdet().logabsdet))
    assert all(torch.equal(value, before[key]) for key, value in norm.state_dict().items())


def test_what_cannot_be_solved_is_told() -> None:
    flow, (x, c) = lively(), codes()
    with pytest.raises(UnsolvableError):
        flow.encode(torch.full_like(x, math.nan), c, 1e-5)


def test_start_values_come_from_the_generator_alone() -> None:
    first, second = (Field(WIDTH, (8,), CONDITIONS) for _ in range(2))
    flows = [Flow(WIDTH, (8,), CONDITIONS, rng=generator(11)) for _ in range(2)]
    assert not torch.equal(first.layers[0].linear.weight, second.layers[0].linear.weight)  # type: ignore[union-attr, arg-type]
    assert all(torch.equal(a, b) for a, b in zip(flows[0].parameters(), flows[1].parameters(), strict=True))
