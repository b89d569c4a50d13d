"""L2L: gradients flow through every frozen network, training works, resumes to the bit, and stops when it diverges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.errors import TrainingDivergedError
from pipeline.methods.interface import FitData
from pipeline.methods.l2l import training as l2l_training
from pipeline.methods.l2l.method import L2L
from pipeline.methods.l2l.scales import Scales
from pipeline.methods.l2l.training import LOSSES
from pipeline.methods.l2l.variants import ABLATION
from pipeline.methods.variants import Variant
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from pipeline.optimisation import stepped
from stylegan.generator import Generator
from tests.worlds import toy

SMALL = {"steps": 12, "batch": 8, "width": 32, "layers": 2, "learning_rate": 1e-4}


RAW = Scales.raw(toy.MEAN_DISTANCE, len(NAMES))


def small(**changes: Any) -> L2L:
    return L2L(**(SMALL | changes))


def losses(method: L2L, data: FitData, mapper: torch.nn.Module) -> torch.Tensor:
    change = method.draw_changes(data.values, data.rng(3), RAW)
    return method.losses(mapper, data, data.w, data.values, change, RAW)


def strengths(count: int, name: str, strength: float) -> torch.Tensor:
    vectors = torch.zeros(count, len(NAMES))
    vectors[:, index_of(name)] = strength
    return vectors


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_alone_moves_the_mapper(name: str) -> None:
    data = toy.fit_data(32)
    method = small()
    mapper = method.new_mapper(512, len(NAMES), data.generator.num_ws, data.rng())
    losses(method, data, mapper)[LOSSES.index(name)].backward()
    gradients = [parameter.grad for parameter in mapper.parameters()]
    assert all(gradient is not None and bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients if gradient is not None)
    for network in (data.generator, data.scorer_a, data.recognizer_a):
        assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("generator", {"attribute", "face"}),
        ("scorer_a", {"attribute"}),
        ("recognizer_a", {"face"}),
    ],
)
def test_gradients_pass_through_each_network(network: str, expected: set[str]) -> None:
    """With a network that lets no gradient through, exactly its own losses move the mapper no more."""
    data = toy.fit_data(32)
    blocked: Callable[..., torch.Tensor] = getattr(data, network).forward
    if network == "generator":
        blocked = data.generator.synthesis.forward
        data.generator.synthesis.forward = lambda ws: blocked(ws).detach()  # type: ignore[method-assign]
    else:
        getattr(data, network).forward = lambda images: blocked(images).detach()
    method = small()
    mapper = method.new_mapper(512, len(NAMES), data.generator.num_ws, data.rng())
    found, last = losses(method, data, mapper), mapper.last.weight
    still = set()
    for name, loss in zip(LOSSES, found, strict=True):
        gradient = torch.autograd.grad(loss, last, retain_graph=True)[0]
        still |= set() if gradient.any() else {name}
    assert still == expected


def test_norms_are_those_of_the_paper() -> None:
    """A mapper that moves every code by the same vector has known losses."""

    class Shift(torch.nn.Module):
        def __init__(self, step: torch.Tensor) -> None:
            super().__init__()
            self.step = step

        def forward(self, w: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
            return w + self.step

    data, method = toy.fit_data(16), small()
    found = dict(zip(LOSSES, losses(method, data, Shift(3.0 * toy.DIRECTIONS[5])).tolist(), strict=True))
    change = method.draw_changes(data.values, data.rng(3), RAW)
    edited = toy.values_of(data.w + 3.0 * toy.DIRECTIONS[5])
    assert found["identity"] == pytest.approx(3 / toy.MEAN_DISTANCE, rel=1e-4)
    assert found["cycle"] == pytest.approx(6 / toy.MEAN_DISTANCE, rel=1e-4)
    assert found["neighbourhood"] == pytest.approx((3 / toy.MEAN_DISTANCE) ** 2, rel=1e-4)
    assert found["attribute"] == pytest.approx(float((edited - data.values - change).square().sum(1).mean()), rel=1e-4)
    assert found["face"] == pytest.approx(0, abs=1e-6), "the direction of an attribute does not touch the identity"
    moved = dict(zip(LOSSES, losses(method, data, Shift(3.0 * toy.IDENTITY[0])).tolist(), strict=True))
    first, second = (torch.nn.functional.normalize(w @ toy.IDENTITY.T) for w in (data.w, data.w + 3 * toy.IDENTITY[0]))
    assert moved["face"] == pytest.approx(float((first - second).square().sum(1).mean()), rel=1e-3)


def test_changes_are_sparse_and_stay_in_range() -> None:
    method, values = L2L(), toy.values_of(toy.draw_w(4000))
    change = method.draw_changes(values, torch.Generator().manual_seed(1), RAW)
    changed = (change != 0).sum(dim=1)
    assert bool(((values + change) >= -1e-6).all() and ((values + change) <= 1 + 1e-6).all())
    assert float(change[change != 0].abs().min()) >= method.threshold - 1e-6
    assert float((changed == 0).float().mean()) == pytest.approx(method.noop_share, abs=0.03)
    assert float((changed == 1).float().mean()) == pytest.approx(method.single_share, abs=0.03)
    assert float(changed[changed > 1].float().mean()) < len(NAMES) * 0.75
    single = change[changed == 1]
    assert bool((single != 0).any(dim=0).all()), "every attribute is changed alone sometimes"


@pytest.fixture(scope="module")
def trained() -> L2L:
    method = L2L(steps=600, batch=64, width=128, layers=2)
    method.fit(toy.fit_data(1000))
    return method


@pytest.mark.parametrize("attribute", EVALUATED)
def test_the_target_attribute_moves_as_asked(trained: L2L, attribute: str) -> None:
    domain, column = toy.load(), index_of(attribute)
    w = toy.draw_w(100, seed=77)
    ws, values = domain.generator.mapping.broadcast(w), toy.values_of(w)

    def score(strength: float) -> torch.Tensor:
        edited = trained.edit(ws, strengths(100, attribute, strength), values)
        return domain.scorer_b(domain.generator.synthesis(edited))

    up, down = score(0.5)[:, column] - values[:, column], score(-0.5)[:, column] - values[:, column]
    assert float(up.mean()) > 0.05 and float(down.mean()) < -0.05
    assert float((up > down).float().mean()) > 0.95


def test_training_is_measured_on_codes_it_never_saw(trained: L2L) -> None:
    facts = trained.facts()
    assert facts["held_out"] == 64
    assert facts["end"]["total"] < 0.8 * facts["start"]["total"]
    assert facts["noop_error"] < 0.1 and facts["cycle_error"] < 0.2
    assert facts["mean_distance"] == pytest.approx(toy.MEAN_DISTANCE, rel=0.02)
    assert facts["curve"]["steps"][-1] == 600 and len(facts["curve"]["losses"][0]) == len(facts["curve"]["names"])
    assert len(facts["curve"]["steps"]) <= 201
    curve = facts["held_out_curve"]
    assert curve["steps"] == list(range(0, 601, 600 // l2l_training.VALIDATIONS))
    for row, point in ((0, "start"), (-1, "end")):
        losses_then = dict(zip(curve["names"], curve["losses"][row], strict=True))
        assert losses_then == pytest.approx(facts[point], abs=1e-6)
    totals = [row[0] for row in curve["losses"]]
    assert totals[0] > totals[1] > totals[-1] > 0


def test_frozen_networks_are_left_as_they_were() -> None:
    data = toy.fit_data(64)
    networks = (data.generator, data.scorer_a, data.recognizer_a)
    for network in networks:
        network.requires_grad_(True).train()
    before = [{key: value.clone() for key, value in network.state_dict().items()} for network in networks]
    assert all(before)
    small().fit(data)
    for network, then in zip(networks, before, strict=True):
        assert all(torch.equal(value, then[key]) for key, value in network.state_dict().items())
        assert network.training and all(parameter.requires_grad for parameter in network.parameters())
        assert all(parameter.grad is None for parameter in network.parameters())


class InterruptedTrainingError(Exception):
    """A training that was stopped."""


@pytest.mark.parametrize("stop", [3, 5, 11])
def test_a_resumed_training_gives_the_same_bits(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "SAVE_SECONDS", 0.0)
    whole, resumed, done = small(), small(), []
    whole.fit(toy.fit_data(64))

    def interrupt(step: int, total: int, message: str) -> None:
        if step == stop:
            raise InterruptedTrainingError

    with pytest.raises(InterruptedTrainingError):
        small().fit(toy.fit_data(64, checkpoints=tmp_path, progress=interrupt))
    resumed.fit(toy.fit_data(64, checkpoints=tmp_path, progress=lambda step, total, message: done.append(step)))
    assert done[0] == stop, "finished steps are not computed again"
    assert resumed.facts() == whole.facts()
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, resumed.state()[name])


def test_a_checkpoint_of_other_settings_or_a_damaged_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stepped, "SAVE_SECONDS", 0.0)
    whole = small()
    whole.fit(toy.fit_data(64))
    small(threshold=0.4).fit(toy.fit_data(64, checkpoints=tmp_path))
    for expected in ("other settings", "cannot be read"):
        again = small()
        again.fit(toy.fit_data(64, checkpoints=tmp_path))
        assert expected in caplog.text
        assert all(torch.equal(tensor, again.state()[name]) for name, tensor in whole.state().items())
        (tmp_path / "l2l.pt").write_bytes(b"half a file")


def test_a_rate_that_is_too_high_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match="Lower learning_rate"):
        small(learning_rate=5.0).fit(toy.fit_data(64, checkpoints=tmp_path))
    assert not any(tmp_path.iterdir()), "a retry does not go on from diverged weights"


def test_a_loss_that_is_not_a_number_is_told() -> None:
    data = toy.fit_data(64)
    data.values[:32] = float("nan")
    with pytest.raises(TrainingDivergedError):
        small().fit(data)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("codes", ["W", "W+"])
def test_every_form_of_the_mapper_trains(codes: str, residual: bool, tmp_path: Path) -> None:
    method = small(codes=codes, residual=residual, steps=60, learning_rate=1e-3)
    method.fit(toy.fit_data(200))
    assert method.facts()["end"]["total"] < method.facts()["start"]["total"]
    faces, change = toy.faces(5), strengths(5, "age", 0.5)
    edited = method.edit(faces.ws, change, faces.values)
    assert bool((edited != edited[:, :1]).any()) == (codes == "W+"), "layers differ in W+ alone"
    method.save(tmp_path)
    assert torch.equal(L2L.load(tmp_path).edit(faces.ws, change, faces.values), edited)


def test_a_code_per_layer_that_is_the_same_in_all_has_the_losses_of_one() -> None:
    """With the same last layer everywhere, W+ is W put into every layer, and so are its losses."""
    data, one, each = toy.fit_data(32), small(), small(codes="W+")
    mapper = one.new_mapper(512, len(NAMES), toy.LAYERS, data.rng())
    per_layer = each.new_mapper(512, len(NAMES), toy.LAYERS, data.rng())
    per_layer.hidden.load_state_dict(mapper.hidden.state_dict())
    with torch.no_grad():
        per_layer.last.weight.copy_(mapper.last.weight.expand_as(per_layer.last.weight))
    assert torch.allclose(losses(one, data, mapper), losses(each, data, per_layer), rtol=1e-4)


def test_every_loss_of_every_held_out_code_is_kept() -> None:
    method = small()
    method.fit(toy.fit_data(100))
    facts = method.facts()
    assert set(facts["held_out_losses"]) == set(LOSSES) != set()
    for name in LOSSES:
        kept = facts["held_out_losses"][name]
        assert len(kept) == facts["held_out"] == 25
        assert sum(kept) / len(kept) == pytest.approx(facts["end"][name], rel=1e-5, abs=1e-9)


def test_cycle_and_no_op_errors_are_what_edits_say() -> None:
    """By the published edit itself: there and back, and nowhere, in mean distances of two random codes."""
    data, method = toy.fit_data(100), small(codes="W+", noop_share=0.0)
    method.fit(data)
    facts, held_out = method.facts(), slice(75, None)
    ws, values = data.generator.mapping.broadcast(data.w[held_out]), data.values[held_out]
    scales = Scales.of(data.w, data.values, data.rng(l2l_training.PAIRS), method.units)
    change = method.draw_changes(values, data.rng(l2l_training.PROBE_CHANGES), scales)
    there = method.edit(ws, change, values)
    for name, found in (
        ("cycle", method.edit(there, -change, values)),
        ("identity", method.edit(ws, torch.zeros_like(change), values)),
    ):
        lengths = (found - ws).norm(dim=2).square().mean(dim=1).sqrt() / facts["mean_distance"]
        assert facts["held_out_losses"][name] == pytest.approx(lengths.tolist(), rel=1e-4)


@pytest.mark.parametrize("variant", ABLATION.variants, ids=lambda variant: variant.name)
def test_every_variant_of_the_ablation_trains(variant: Variant) -> None:
    """Also without the target loss, where training starts almost at the best there is and must not end above it."""
    method = small(**({"steps": 60, "learning_rate": 3e-4, "batch": 16} | dict(variant.changes)))
    method.fit(toy.fit_data(200))
    facts = method.facts()
    assert facts["end"]["total"] <= facts["start"]["total"]
    for name in LOSSES:
        assert facts["end"][name] >= 0 and len(facts["held_out_losses"][name]) == facts["held_out"]


def test_training_passes_through_the_real_networks() -> None:
    """The toy's networks are linear; these are those of the embedded domain, small and random."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        generator = Generator(resolution=16, channels={4: 8, 8: 8, 16: 8}, mapping_layers=2)
        scorer, recognizer = Scorer("residual", 8), Recognizer("plain", 8, 16)
    for network in (generator, scorer, recognizer):
        network.eval().requires_grad_(False)
    w = generator.map_to_w(torch.randn(64, 512, generator=torch.Generator().manual_seed(5)))
    values = scorer(generator.synthesis(generator.mapping.broadcast(w)))
    cpu = torch.device("cpu")
    method = small(steps=40, learning_rate=1e-3)
    method.fit(FitData(w, values, generator, scorer, recognizer, seed=5, device=cpu))
    data = FitData(w, values, generator, scorer, recognizer, seed=5, device=cpu)
    mapper = method.new_mapper(512, len(NAMES), data.generator.num_ws, data.rng())
    assert LOSSES
    for name, loss in zip(LOSSES, losses(method, data, mapper), strict=True):
        gradient = torch.autograd.grad(loss, mapper.last.weight, retain_graph=True)[0]
        assert float(gradient.abs().max()) > 0 and bool(torch.isfinite(gradient).all()), name
