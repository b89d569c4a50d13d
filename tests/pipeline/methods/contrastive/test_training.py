"""The contrastive loss against a double loop and its bound; direction models against K separate networks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.methods.contrastive.candidates import (
    DirectionCandidates,
    cosines,
    feature_maps,
    layer_groups,
    layers_seen,
)
from pipeline.methods.contrastive.directions import Directions
from pipeline.methods.contrastive.llf import LLF
from pipeline.methods.contrastive.training import (
    TEMPERATURE,
    ContrastiveTraining,
    StepLoss,
    contrastive_loss,
    unit_rows,
)
from tests.worlds import toy


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def all_there(rows: Tensor) -> Tensor:
    return torch.ones(rows.shape[:2], dtype=torch.bool)


def slow_loss(rows: Tensor, there: Tensor) -> float:
    """The authors' formula pair by pair, over the rows that are there."""
    losses = []
    pairs = [(k, i) for k in range(rows.shape[0]) for i in range(rows.shape[1]) if there[k, i]]
    for k, i in pairs:
        similar = {(m, j): math.exp(0.5 * abs(float(rows[k, i] @ rows[m, j]))) for m, j in pairs if (m, j) != (k, i)}
        positive = [value for (m, _), value in similar.items() if m == k]
        negative = [value for (m, _), value in similar.items() if m != k]
        if positive and negative:
            losses.append(-math.log((sum(positive) / len(positive)) / (sum(negative) / len(negative))))
    return sum(losses) / len(losses)


def test_the_loss_is_the_double_loops() -> None:
    rows, there = unit_rows(drawn(4, 3, 7))
    assert float(contrastive_loss(rows, there)[0]) == pytest.approx(slow_loss(rows, there), abs=1e-6)
    there[1, 2] = there[3, 0] = there[3, 1] = False  # direction 3 has one row left, and no positive
    assert float(contrastive_loss(rows, there)[0]) == pytest.approx(slow_loss(rows, there), abs=1e-6)


def test_the_bound_is_reached_by_separate_directions_alone() -> None:
    apart = torch.eye(5)[:, None].expand(-1, 3, -1).clone()
    apart[:, 1] *= -1  # the sign does not matter
    loss, accuracy = contrastive_loss(apart, all_there(apart))
    assert float(loss) == pytest.approx(-TEMPERATURE, abs=1e-6) and accuracy == 1
    alike = torch.eye(5)[:1].expand(5, 3, -1)
    assert float(contrastive_loss(alike, all_there(alike))[0]) == pytest.approx(0, abs=1e-6)
    for seed in range(20):
        rows, there = unit_rows(drawn(3, 4, 2 + seed, seed=seed))
        assert -TEMPERATURE < float(contrastive_loss(rows, there)[0]) < TEMPERATURE


def test_rows_of_no_length_are_left_out_and_give_no_nan() -> None:
    differences = drawn(3, 4, 6)
    differences[1, 2] = 0
    differences[2, 0] = 0
    differences.requires_grad_()
    rows, there = unit_rows(differences)
    loss, _ = contrastive_loss(rows, there)
    loss.backward()
    assert (~there).nonzero().tolist() == [[1, 2], [2, 0]]
    assert differences.grad is not None and bool(torch.isfinite(differences.grad).all())
    assert not differences.grad[1, 2].any() and bool(differences.grad[0].any())
    assert torch.allclose(rows[there].norm(dim=1), torch.ones(10), atol=1e-6)
    nothing, there = unit_rows(torch.zeros(2, 3, 4, requires_grad=True))
    loss, accuracy = contrastive_loss(nothing, there)
    loss.backward()
    assert float(loss.detach()) == 0 and accuracy == 0


def separate(models: Directions, index: int) -> nn.Sequential:
    """Direction `index` built from torch's own layers, with the same weights."""
    layers: list[nn.Module] = []
    for number, weight in enumerate(models.weights):
        biased = number < len(models.biases)
        linear = nn.Linear(models.w_dim, models.w_dim, bias=biased)
        linear.weight.data.copy_(weight[index])
        if biased:
            linear.bias.data.copy_(models.biases[number][index, 0])
        layers.append(linear)
        if number < len(models.gains):
            norm = nn.BatchNorm1d(models.w_dim)
            norm.weight.data.copy_(models.gains[number][index, 0])
            norm.bias.data.copy_(models.shifts[number][index, 0])
            layers += [norm, nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_directions_are_separate_networks_of_torch(depth: int) -> None:
    models = Directions(3, 8, depth=depth, rng=torch.Generator().manual_seed(1))
    for tensor in (*models.gains, *models.shifts):
        tensor.data.add_(0.3 * drawn(*tensor.shape, seed=4))
    others = [separate(models, index) for index in range(3)]
    for training in (True, True, False):
        models.train(training)
        w = drawn(5, 8, seed=2)
        found = models(w)
        assert len(found) == len(others) == 3
        for index, other in enumerate(others):
            expected = other.train(training)(w)
            assert torch.allclose(found[index], nn.functional.normalize(expected), atol=1e-5)
            if not training:
                assert torch.allclose(models.one(w, index), found[index], atol=1e-6)


def test_a_direction_of_depth_3_has_the_authors_number_of_weights() -> None:
    assert sum(parameter.numel() for parameter in Directions(1, 512, depth=3).parameters()) == 789_504


def test_a_global_direction_does_not_look_at_the_code() -> None:
    models = Directions(4, 8, depth=0, rng=torch.Generator().manual_seed(1))
    found = models(drawn(5, 8))
    assert torch.equal(found[:, 0], found[:, 4]) and torch.allclose(found.norm(dim=2), torch.ones(4, 5))
    assert cosines(found)["samples"] == pytest.approx(1, abs=1e-4)
    assert cosines(torch.eye(4)[:, None].expand(-1, 3, -1)) == {"between": 0, "samples": 1}


def test_layer_groups_are_read() -> None:
    def read(text: object, layers: int = 10) -> list[tuple[int, int]]:
        return layer_groups("llf", "groups", text, layers, 3)

    assert read("all, 0-1, 2-5, 6-") == [(0, 10), (0, 2), (2, 6), (6, 10)]
    assert read("8-11, 12-13, 4") == [(8, 10), (4, 5)]
    assert read("each, seen, 0-2") == [(0, 1), (1, 2), (2, 3), (0, 3)]
    assert read(4) == [(4, 5)] and read("") == []
    assert read("0-17", 18) == read("all", 18) == [(0, 18)]
    for wrong in ("5-2", "x", "-3", "1--2"):
        with pytest.raises(ConfigError, match=r"\[method.llf\] groups"):
            read(wrong)


def test_candidates_move_the_layers_of_their_group_by_the_strength() -> None:
    models = Directions(3, 512, depth=2, rng=torch.Generator().manual_seed(1)).eval()
    candidates = DirectionCandidates([models, models], [(0, 2), (1, 6)], ["first", "second"])
    assert candidates.count == 12
    index = next(i for i in range(12) if candidates.label(i) == "second 2, layers 1-5")
    ws = drawn(4, 6, 512, seed=3)
    strengths = torch.tensor([2.0, -1.0, 0.0, 5.0])
    moved = candidates.shift(ws, index, strengths)
    assert not moved[:, 0].any() and not moved[2].any()
    for layer in range(1, 6):  # each layer's own code through the network
        assert torch.allclose(moved[:, layer], strengths[:, None] * models.one(ws[:, layer], 2), atol=1e-6)
    assert torch.allclose(moved[:, 1:].norm(dim=2), strengths.abs()[:, None].expand(-1, 5), atol=1e-5)


def test_the_tap_sees_the_layers_that_are_said() -> None:
    from stylegan.generator import Generator

    with torch.random.fork_rng():
        torch.manual_seed(3)
        generator = Generator(resolution=16, channels={4: 4, 8: 4, 16: 4}, mapping_layers=1).eval()
    data = toy.fit_data(8, generator=generator)
    w, other = drawn(2, 512), drawn(2, 512, seed=1)
    for tap in generator.synthesis.block_names:
        seen = layers_seen(data, "llf", tap)
        plain = feature_maps(data, w, tap)
        for layer in range(generator.num_ws):
            changed = feature_maps(data, other, tap, [(layer, layer + 1)], w)
            assert torch.equal(changed, plain) == (layer >= seen), (tap, layer)
    with pytest.raises(ConfigError, match=r"\[method.llf\] tap: expected one of b4, b8, b16"):
        layers_seen(data, "llf", "b32")


def test_the_learning_rate_falls_by_the_steps_of_each_model() -> None:
    """Models take turns, so each of three is at its step 1,000 after 3,000 in all."""
    networks = [Directions(2, 512, depth=0, rng=torch.Generator().manual_seed(seed)) for seed in range(3)]
    training = ContrastiveTraining(
        LLF(),
        toy.fit_data(64),
        nn.ModuleList(networks),
        lambda turn, w, rng: StepLoss(networks[turn].weights[0].sum(), 0.0, 0.0, 0.0),
        steps=5,
        batch=4,
        learning_rate=1.0,
    )
    rates = [training.rate(step) for step in (0, 2999, 3000, 14_999, 15_000)]
    assert rates == pytest.approx([1.0, 1.0, 0.2, 0.2, 0.04])


def test_the_optimiser_in_one_pass_takes_the_plain_steps() -> None:
    """Adam with weight decay, written out; a model that is not in turn has no gradient and stays."""
    models = [Directions(3, 16, depth=2, rng=torch.Generator().manual_seed(4)) for _ in range(2)]
    training = ContrastiveTraining(
        LLF(),
        toy.fit_data(64),
        nn.ModuleList(models),
        lambda turn, w, rng: StepLoss(models[turn](w[:, :16]).sin().sum(), 0.0, 0.0, 0.0),
        steps=5,
        batch=4,
        learning_rate=0.01,
    )
    weight, resting = models[0].weights[0], models[1].weights[0].detach().clone()
    expected, mean, square = weight.detach().double(), 0.0, 0.0
    for taken in (1, 2):
        training.step = 0  # the first model's turn again
        training.advance()
        assert weight.grad is not None
        gradient = weight.grad.double() + 1e-3 * expected
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        size = (square / (1 - 0.999**taken)) ** 0.5 + 1e-8
        expected = expected - 0.01 * (mean / (1 - 0.9**taken)) / size
        assert torch.allclose(weight.double(), expected, atol=1e-6)
    assert torch.equal(models[1].weights[0], resting)
