"""A training by steps: against a loop written out, interrupted anywhere, and stopped where the loss is no number."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import TrainingDivergedError
from pipeline.optimisation.checkpoint import Checkpoint
from pipeline.optimisation.stepped import SteppedTraining, frozen

STEPS, AVERAGE = 12, 4


class InterruptedTrainingError(Exception):
    pass


def batch_of(step: int) -> Tensor:
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(step))


def loss_of(network: nn.Module, step: int) -> Tensor:
    x = batch_of(step)
    loss: Tensor = (network(x) - x.sum(dim=1, keepdim=True)).square().mean()
    return loss


def rate_of(step: int) -> float:
    return 0.1 / (1 + step)


def new_network() -> nn.Module:
    """A linear layer after a norm, whose count of batches is a whole number."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))


def new_optimiser(network: nn.Module) -> torch.optim.Optimizer:
    groups = [{"params": [network[1].weight]}, {"params": [network[1].bias], "scale": 0.5}]  # type: ignore[index]
    return torch.optim.Adam(groups)


class Line(SteppedTraining):
    """Fits the sum of four numbers."""

    def __init__(self, path: Path | None = None, stop: int = 0, poison: int = 0, average: int = AVERAGE) -> None:
        self.network, self.stop, self.poison = new_network(), stop, poison
        super().__init__(
            {"network": self.network},
            new_optimiser(self.network),
            Checkpoint(path, {}),
            steps=STEPS,
            device=torch.device("cpu"),
            average=average,
            note_every=5,
            save_seconds=0.0,
        )
        self.noted: list[int] = []

    def loss(self) -> Tensor:
        if self.step == self.stop > 0:
            raise InterruptedTrainingError
        loss = loss_of(self.network, self.step)
        return loss * math.nan if self.step + 1 == self.poison else loss

    def rate(self, step: int) -> float:
        return rate_of(step)

    def note(self, losses: list[Tensor]) -> None:
        self.noted.append(len(losses))
        self.check_finite(losses[-1])
        self.curve.append([self.step, float(losses[-1])])

    def diverge(self, loss: float, when: str) -> NoReturn:
        raise TrainingDivergedError(f"{loss} {when}")


def written_out() -> tuple[nn.Module, dict[str, Tensor], list[list[float]]]:
    """The network after a plain loop, its averaged weights, and the losses of steps 5, 10 and 12."""
    network = new_network()
    optimiser = new_optimiser(network)
    average = {key: value.clone() for key, value in network.state_dict().items()}
    losses = []
    for step in range(STEPS):
        loss = loss_of(network, step)
        for group, scale in zip(optimiser.param_groups, (1.0, 0.5), strict=True):
            group["lr"] = rate_of(step) * scale
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append([step + 1, float(loss.detach())])
        for key, value in network.state_dict().items():
            share = 1 / min(AVERAGE, step + 1)
            average[key] = torch.lerp(average[key], value, share) if value.is_floating_point() else value.clone()
    return network, average, [losses[4], losses[9], losses[11]]


def same(network: nn.Module, state: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_a_training_is_the_loop_written_out() -> None:
    network, average, curve = written_out()
    training = Line()
    training.run()
    assert same(training.network, average) and training.curve == curve and training.noted == [5, 5, 2]
    last = Line(average=0)
    last.run()
    assert same(last.network, network.state_dict())


@pytest.mark.parametrize("average", [0, AVERAGE])
@pytest.mark.parametrize("stop", [1, 5, 11])
def test_an_interrupted_training_ends_with_the_same_bits(stop: int, average: int, tmp_path: Path) -> None:
    whole, resumed = Line(average=average), Line(tmp_path / "a.pt", average=average)
    whole.run()
    with pytest.raises(InterruptedTrainingError):
        Line(tmp_path / "a.pt", stop, average=average).run()
    seen: list[int] = []
    step: Callable[[], Tensor] = resumed.loss
    resumed.loss = lambda: (seen.append(resumed.step), step())[1]  # type: ignore[method-assign, func-returns-value]
    resumed.run()
    assert seen == list(range(stop, STEPS)), "finished steps are not computed again"
    assert same(resumed.network, whole.network.state_dict()) and resumed.curve == whole.curve


def test_a_finished_training_is_read_back(tmp_path: Path) -> None:
    whole, again = Line(tmp_path / "a.pt"), Line(tmp_path / "a.pt", stop=1)
    whole.run()
    again.run()
    assert same(again.network, whole.network.state_dict()) and again.curve == whole.curve


@pytest.mark.parametrize("poison", [1, 7])
def test_a_loss_that_is_no_number_stops_and_is_not_saved(poison: int, tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match=f"nan at step {poison}"):
        Line(tmp_path / "a.pt", poison=poison).run()
    state = Checkpoint(tmp_path / "a.pt", {}).load()
    assert state is None if poison == 1 else state is not None and state["step"] == poison - 1


def test_frozen_networks_are_afterwards_as_they_were() -> None:
    network = new_network()
    network[1].requires_grad_(False)  # type: ignore[index]
    with frozen(network):
        assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    assert network.training
    assert [parameter.requires_grad for parameter in network.parameters()] == [True, True, False, False]
