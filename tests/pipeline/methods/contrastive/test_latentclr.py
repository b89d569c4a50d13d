"""LatentCLR separates its directions; its step is a finite difference; it resumes and stops as it must."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.errors import ConfigError, TrainingDivergedError
from pipeline.methods.contrastive import training as contrastive
from pipeline.methods.contrastive.candidates import DirectionCandidates, feature_changes
from pipeline.methods.contrastive.directions import Directions
from pipeline.methods.contrastive.latentclr import MODELS, LatentCLR
from pipeline.methods.contrastive.training import ContrastiveTraining, StepLoss, unit_rows
from pipeline.optimisation import stepped
from stylegan.generator import Generator
from tests.worlds import toy

SMALL: dict[str, Any] = {"steps": 12, "directions": 3, "batch": 4, "depth": 2, "groups": "all"}


def small(**changes: Any) -> LatentCLR:
    return LatentCLR(**(SMALL | changes))


def tiny_generator() -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        generator = Generator(resolution=16, channels={4: 8, 8: 8, 16: 8}, mapping_layers=2)
    return generator.eval().requires_grad_(False)


@pytest.mark.parametrize("model", MODELS)
def test_training_separates_the_directions(model: str) -> None:
    """The toy's features are linear in w, so that directions that are orthogonal and constant reach the bound."""
    method = small(model=model, steps=40, directions=4, learning_rate=0.003)
    method.find(toy.fit_data(200))
    training = method.found_["training"]
    assert training["best"]["accuracy"] == 1
    assert -0.5 <= training["best"]["loss"] < (-0.06 if model == "linear" else -0.45), "linear ones unlearn w slowly"
    assert training["best"]["loss"] <= training["start"]["loss"] + contrastive.SLACK
    assert method.found_["cosines"]["between"] < 0.1
    if model != "global":
        assert training["best"]["loss"] < training["start"]["loss"] - 0.04


def test_the_feature_difference_is_the_derivative() -> None:
    """A step of 0.1 is a finite difference: forward differentiation gives the same."""
    generator = tiny_generator()
    generator.fused = False
    data = toy.fit_data(64, generator=generator)
    w = torch.randn(3, 512, generator=torch.Generator().manual_seed(1))
    directions = torch.nn.functional.normalize(
        torch.randn(2, 3, 512, generator=torch.Generator().manual_seed(2)), dim=2
    )
    before, after = feature_changes(data, directions, w, "b16", torch.tensor([0.1, 0.1]))
    rows, there = unit_rows((after - before).flatten(2))
    assert bool(there.all())

    def mapped(codes: torch.Tensor) -> torch.Tensor:
        return generator.synthesis.features(generator.mapping.broadcast(codes), "b16")

    for k in range(2):
        _, exact = torch.func.jvp(mapped, (w,), (directions[k],))
        cosine = (unit_rows(exact.flatten(1))[0] * rows[k]).sum(dim=1)
        assert float(cosine.min()) > 0.99


class Steps(torch.nn.Module):
    """Always the same directions."""

    def __init__(self, directions: torch.Tensor) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return self.directions


@pytest.mark.parametrize("unit_features", [True, False])
def test_the_objective_is_the_formula(unit_features: bool) -> None:
    """Pair by pair, on features of the length that they have or, as the authors have them, of unit length."""
    data, w, alpha = toy.fit_data(8), toy.draw_w(3, seed=8), 4.0
    directions = torch.nn.functional.normalize(torch.randn(3, 3, 512, generator=data.rng(1)), dim=2)
    method = small(alpha_low=alpha, alpha_high=alpha, unit_features=unit_features)
    outcome = method.objective(data, Steps(directions), w, [], data.rng())  # type: ignore[arg-type]

    def features(codes: torch.Tensor) -> np.ndarray:
        maps = data.generator.synthesis.features(data.generator.mapping.broadcast(codes), "b16")
        flat = maps.flatten(1).double().numpy()
        return flat / np.linalg.norm(flat, axis=1, keepdims=True) if unit_features else flat

    rows = {}
    for k in range(3):
        for i, change in enumerate(features(w + alpha * directions[k]) - features(w)):
            rows[k, i] = change / np.linalg.norm(change)
    losses = []
    for k, i in rows:
        similar = {key: math.exp(0.5 * abs(float(rows[k, i] @ row))) for key, row in rows.items() if key != (k, i)}
        positive = np.mean([value for (m, _), value in similar.items() if m == k])
        losses.append(-math.log(positive / np.mean([value for (m, _), value in similar.items() if m != k])))
    assert float(outcome.loss) == pytest.approx(np.mean(losses), abs=1e-6)


def test_features_are_of_unit_length_unless_told_otherwise() -> None:
    """The two objectives differ: a formula test could not tell them apart where they are one."""
    data, w = toy.fit_data(8), toy.draw_w(3, seed=8)
    networks = Directions(3, 512, depth=2, rng=data.rng(1))
    losses = [
        float(small(**changes).objective(data, networks, w, [], data.rng()).loss.detach())
        for changes in ({}, {"unit_features": True}, {"unit_features": False})
    ]
    assert losses[0] == losses[1] and abs(losses[1] - losses[2]) > 1e-5


@pytest.mark.parametrize(("model", "different"), [("global", 1), ("nonlinear", 3)])
def test_free_vectors_share_one_alpha(model: str, different: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen = toy.fit_data(8), []
    method = small(model=model, alpha_low=1.0, alpha_high=2.0)

    def watched(*given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(given[4])
        return feature_changes(*given)

    monkeypatch.setattr("pipeline.methods.contrastive.latentclr.feature_changes", watched)
    networks = Directions(3, 512, depth=method.network_depth, rng=data.rng(1))
    method.objective(data, networks, toy.draw_w(3), [], data.rng())
    assert seen[0].shape == (3,) and len(set(seen[0].tolist())) == different


def bent(step: float) -> DirectionCandidates:
    return DirectionCandidates(
        [Directions(2, 512, depth=3, rng=torch.Generator().manual_seed(1))], [(0, 2)], ["n"], step
    )


def test_an_edit_step_by_step_takes_the_direction_again() -> None:
    codes = toy.draw_w(3, seed=9)
    ws = toy.load().generator.mapping.broadcast(codes)
    strengths = torch.tensor([2.5, -1.0, 0.0])
    moved = bent(1.0).shift(ws, 1, strengths)
    model = bent(0.0).models[0]
    for face, steps in enumerate(([1.0, 1.0, 0.5], [-1.0], [])):
        at = codes[face : face + 1]
        for step in steps:
            at = at + step * model.one(at, 1)
        assert torch.allclose(moved[face, :2], at - codes[face], atol=1e-5)
    assert not moved[:, 2:].any() and not moved[2].any()
    straight = bent(0.0).shift(ws, 1, strengths)
    assert torch.allclose(straight[0, 0], 2.5 * model.one(codes[:1], 1)[0], atol=1e-5)
    assert not torch.allclose(straight[0], moved[0], atol=1e-3), "the direction turns"


def test_edits_step_by_step_add_up() -> None:
    ws = toy.load().generator.mapping.broadcast(toy.draw_w(2, seed=9))[:, :2]
    two = ws + bent(0.5).shift(ws, 0, torch.full((2,), 1.0))
    there = two + bent(0.5).shift(two, 0, torch.full((2,), 1.5))
    assert torch.allclose(there, ws + bent(0.5).shift(ws, 0, torch.full((2,), 2.5)), atol=1e-5)


def test_training_passes_through_a_real_generator_and_leaves_it_as_it_was() -> None:
    generator = tiny_generator().requires_grad_(True)
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    w = generator.map_to_w(torch.randn(64, 512, generator=torch.Generator().manual_seed(5))).detach()
    method = small(steps=50, learning_rate=0.003, feed="0-3")
    method.find(toy.fit_data(64, generator=generator, w=w))
    training = method.found_["training"]
    assert training["best"]["loss"] < training["start"]["loss"]
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in generator.parameters())


def test_layers_that_are_not_fed_learn_nothing() -> None:
    """Fed beyond what the tap sees, no feature changes: every pair is left out, and nothing is learned but decay."""
    method = small(tap="b4", feed="2-", steps=5)
    method.find(toy.fit_data(64))
    assert method.found_["training"]["best"]["dropped"] == 1
    assert method.found_["training"]["best"]["loss"] == 0


def test_an_edit_is_the_named_direction_at_the_strength() -> None:
    data = toy.fit_data(300)
    method = small(groups="all, 0-1", steps=20)
    method.fit(data)
    ws = toy.load().generator.mapping.broadcast(toy.draw_w(5, seed=9))
    strengths = torch.zeros(5, len(NAMES))
    strengths[:, index_of("age")] = 3.0
    moved = method.edit(ws, strengths, data.values[:5]) - ws
    name = method.naming_.names[index_of("age")]
    layers = slice(0, 2) if "layers 0-1" in name.label else slice(None)
    assert torch.allclose(moved[:, layers].norm(dim=2), torch.tensor(3.0), atol=1e-4)
    assert method.facts()["naming_candidates"] == 3 * 2 * 2
    scored = [toy.values_of((ws + sign * moved).mean(dim=1)).mean(dim=0)[index_of("age")] for sign in (-1, 0, 1)]
    assert scored[0] < scored[1] < scored[2], f"the sign raises {EVALUATED['age']}"


def test_alphas_are_drawn_from_their_range() -> None:
    from pipeline.methods.contrastive.candidates import draw_alphas

    drawn = draw_alphas(2000, -3.0, 7.0, torch.Generator().manual_seed(0))
    assert -3 <= float(drawn.min()) < -2.9 and 6.9 < float(drawn.max()) <= 7
    assert torch.equal(draw_alphas(3, 0.1, 0.1, torch.Generator()), torch.full((3,), 0.1))


class InterruptedTrainingError(Exception):
    """A training that was stopped."""


@pytest.mark.parametrize("stop", [3, 8, 11])
def test_a_resumed_training_gives_the_same_bits(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "SAVE_SECONDS", 0.0)
    whole, resumed, done = small(), small(), []
    kept = whole.find(toy.fit_data(64)).state()

    def interrupt(step: int, total: int, message: str) -> None:
        if step == stop:
            raise InterruptedTrainingError

    with pytest.raises(InterruptedTrainingError):
        small().find(toy.fit_data(64, checkpoints=tmp_path, progress=interrupt))
    data = toy.fit_data(64, checkpoints=tmp_path, progress=lambda step, total, message: done.append(step))
    again = resumed.find(data).state()
    assert done[0] == stop, "finished steps are not computed again"
    assert resumed.found_ == whole.found_
    assert all(torch.equal(tensor, again[name]) for name, tensor in kept.items())


def test_a_held_out_loss_that_rises_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Normalised directions survive any rate, so the loss is a made-up one: of another sign in training."""
    monkeypatch.setattr(stepped, "SAVE_SECONDS", 0.0)
    networks = Directions(2, 512, depth=0, rng=torch.Generator().manual_seed(1))

    def objective(turn: int, w: torch.Tensor, rng: torch.Generator) -> StepLoss:
        loss = networks.weights[0].square().mean()
        return StepLoss(-loss if networks.training else loss, 0.0, 0.0, 0.0)

    training = ContrastiveTraining(
        small(),
        toy.fit_data(64, checkpoints=tmp_path),
        torch.nn.ModuleList([networks]),
        objective,
        steps=5,
        batch=4,
        learning_rate=0.1,
    )
    with pytest.raises(TrainingDivergedError, match="Lower learning_rate"):
        training.run()
    assert not any(tmp_path.iterdir()), "a retry does not go on from diverged weights"


def test_codes_that_are_no_numbers_are_told() -> None:
    data = toy.fit_data(64)
    data.w[:] = float("nan")
    with pytest.raises(TrainingDivergedError):
        small().find(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", "nonlinaer"), ("depth", 1), ("directions", 1), ("alpha_high", 0.05), ("groups", "6-2"), ("steps", 0)],
)
def test_settings_out_of_range_are_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[method.latentclr\] {key}"):
        LatentCLR(**{key: value})  # type: ignore[arg-type]
