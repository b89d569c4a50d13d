"""StyleFlow: likelihood and edits of a known distribution, the layers that keep an edit, training and resuming."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.attributes import ATTRIBUTES, EVALUATED, NAMES, index_of
from pipeline.errors import StageError, TrainingDivergedError
from pipeline.methods.interface import Faces, FitData
from pipeline.methods.layer_table import layer_masks
from pipeline.methods.styleflow.method import GAINS, StyleFlow
from pipeline.optimisation import stepped
from tests.worlds import toy

SMALL = {"steps": 6, "batch": 16, "width": 8, "layers": 1}
WIDTH, SPREAD = 4, 0.5  # of the known distribution
COLUMNS = [index_of(name) for name in EVALUATED]


def small(**changes: Any) -> StyleFlow:
    return StyleFlow(**(SMALL | changes))


def effects() -> Tensor:
    """By how much a value moves the mean code, (conditions, WIDTH)."""
    return 3 * torch.randn(len(COLUMNS), WIDTH, generator=torch.Generator().manual_seed(1))


def known_data(count: int = 4000, **changes: Any) -> FitData:
    """Codes in 4 dimensions: w = values times effects, plus normal noise of one spread."""
    rng = torch.Generator().manual_seed(2)
    values = torch.rand(count, len(NAMES), generator=rng)
    w = values[:, COLUMNS] @ effects() + SPREAD * torch.randn(count, WIDTH, generator=rng)
    return toy.fit_data(16, w=w, values=values, **changes)


@cache
def trained() -> StyleFlow:
    """On the known distribution, with neither gains nor copied layers."""
    method = StyleFlow(steps=200, batch=128, width=32, layers=1, learning_rate=0.01, gains=False, copy_back=False)
    method.fit(known_data())
    return method


@cache
def fitted() -> StyleFlow:
    """Hardly trained, on the toy."""
    method = small()
    method.fit(toy.fit_data(64))
    return method


def strengths(count: int, **named: float) -> Tensor:
    vectors = torch.zeros(count, len(NAMES))
    for name, strength in named.items():
        vectors[:, index_of(name)] = strength
    return vectors


def faces(count: int = 3, depth: int = 18) -> tuple[Tensor, Tensor]:
    w = toy.draw_w(count, seed=99)
    return w[:, None].repeat(1, depth, 1), toy.values_of(w)


def by_hand(method: StyleFlow, w: Tensor, values: Tensor, change: Tensor) -> Tensor:
    """Encoded with the old values, decoded with the new ones: change (N, conditions) in values, in all layers."""
    old = (values[:, method.columns()] - method.centre_) / method.scale_
    z = method.flow_.encode(w, old, 1e-7)
    return method.flow_.decode(z, old + change / method.scale_, 1e-7)


def test_the_likelihood_comes_close_to_the_true_one() -> None:
    """-log p of a normal distribution is its entropy, on average; nothing can be lower but by chance."""
    entropy = WIDTH * (0.5 * math.log(2 * math.pi * math.e) + math.log(SPREAD))
    data, method = known_data(), trained()
    w, conditions = data.w[-1000:], method.condition(data.values[-1000:])
    noises = math.sqrt(WIDTH) * torch.eye(WIDTH)
    with torch.no_grad():
        found = [method.flow_.log_density(w, conditions, noise.expand(1000, -1), 1e-5) for noise in noises]
    assert entropy - 0.15 < -float(torch.stack(found).mean()) < entropy + 0.3
    facts = method.facts()
    assert facts["end"] < facts["start"] and facts["held_out"] == 64 and facts["round_trip"] < 1e-3


@pytest.mark.parametrize("name", EVALUATED)
def test_edits_move_the_mean_as_the_attribute_does(name: str) -> None:
    """Faces whose values are uniform, moved by .3 where that stays in range: the mean code moves by .3 effects."""
    data, method = known_data(), trained()
    rows = (data.values[:, index_of(name)] < 0.7).nonzero()[:300, 0]
    ws = data.w[rows][:, None]
    edited = method.edit(ws, strengths(300, **{name: 0.3}), data.values[rows])
    expected = 0.3 * effects()[list(EVALUATED).index(name)]
    assert float(((edited - ws).mean(dim=(0, 1)) - expected).norm()) < 0.25 * max(1.0, float(expected.norm()))
    back = method.edit(edited, strengths(300, **{name: -0.3}), data.values[rows] + strengths(300, **{name: 0.3}))
    assert torch.allclose(back, ws, atol=1e-3), "an edit is undone by its opposite, with the values that it asked for"


@pytest.mark.parametrize("name", EVALUATED)
def test_an_edit_is_that_of_the_authors_in_its_layers_and_w_elsewhere(name: str) -> None:
    (ws, values), method = faces(), fitted()
    change = torch.zeros(3, len(COLUMNS))
    change[:, list(EVALUATED).index(name)] = 0.4 * GAINS.get(name, 1.0)
    moved = by_hand(method, ws[:, 0], values, change)
    edited, kept = method.edit(ws, strengths(3, **{name: 0.4}), values), layer_masks(18)[index_of(name)]
    assert torch.equal(edited[:, ~kept], ws[:, ~kept])
    assert torch.allclose(edited[:, kept], moved[:, None].expand(-1, int(kept.sum()), -1), atol=1e-4)
    assert float((moved - ws[:, 0]).norm(dim=1).min()) > 1e-2


def test_the_next_edit_goes_in_with_the_values_that_the_last_one_asked_for() -> None:
    """The authors': encode with `final_array_target`, gains and all, in every layer; not clipped, not read again."""
    (ws, values), method = faces(), fitted()
    rows = torch.tensor([2, 0])
    once = method.edited(Faces(ws, values), strengths(3, baldness=0.9, age=0.0))
    asked = values + strengths(3, baldness=0.9) * GAINS["baldness"]
    assert torch.allclose(once.values[:, COLUMNS], asked[:, COLUMNS]) and float(asked.max()) > 1.0
    others = [column for column in range(len(NAMES)) if column not in COLUMNS]
    assert bool(once.values[:, others].isnan().all()), "of what it is not conditioned on, it says nothing"
    twice = method.edited(once[rows], strengths(2, age=0.5))
    change = torch.zeros(2, len(COLUMNS))
    change[:, list(EVALUATED).index("age")] = 0.5 * GAINS["age"]
    for layer in layer_masks(18)[index_of("age")].nonzero()[:, 0].tolist():
        expected = by_hand(method, once.ws[rows, layer], asked[rows], change)
        assert torch.allclose(twice.ws[:, layer], expected, atol=1e-4)
    back = method.edited(method.edited(twice, strengths(2, age=-0.5)), strengths(2, baldness=-0.9))
    assert torch.allclose(back.ws, ws[rows], atol=1e-3)
    assert torch.allclose(back.values[:, COLUMNS], values[rows][:, COLUMNS], atol=1e-6)
    assert float((once.ws - ws).abs().max()) > 0.1, "there was something to undo"


def test_each_layer_changes_the_attributes_whose_layer_it_is() -> None:
    """Layer by layer, codes that differ between layers, another strength per face."""
    (ws, values), method = faces(depth=10), fitted()
    ws = ws + 0.1 * torch.randn(ws.shape, generator=torch.Generator().manual_seed(3))
    vectors = strengths(3, glasses=1.0, age=-0.5, yaw=0.2) * torch.tensor([[1.0], [-0.5], [0.0]])
    edited = method.edit(ws, vectors, values)
    gains = torch.tensor([GAINS.get(name, 1.0) for name in EVALUATED])
    for layer in range(10):
        change = vectors[:, COLUMNS] * gains * layer_masks(10)[COLUMNS, layer]
        assert torch.allclose(edited[:, layer], by_hand(method, ws[:, layer], values, change), atol=1e-4)
    assert torch.equal(edited[2], ws[2]), "the face without a change stays, beside others that change"


def test_every_layer_is_edited_without_copying_back() -> None:
    method = small(copy_back=False, gains=False)
    method.fit(toy.fit_data(64))
    ws, values = faces()
    edited = method.edit(ws, strengths(3, expression=0.5), values)
    assert torch.equal(edited, edited[:, :1].expand_as(edited)) and not torch.allclose(edited, ws)


def test_other_attributes_are_refused_unless_conditioned_on() -> None:
    ws, values = faces()
    with pytest.raises(StageError, match="cannot change exposure"):
        fitted().edit(ws, strengths(3, exposure=1.0), values)
    method = small(conditions="exposure, expression")
    method.fit(toy.fit_data(64))
    assert method.facts()["conditions"] == ["exposure", "smile"]
    assert not torch.allclose(method.edit(ws, strengths(3, exposure=1.0), values), ws)


def test_raw_conditions_are_degrees_and_years() -> None:
    method = small(standardise=False)
    method.fit(toy.fit_data(64))
    values = torch.rand(5, len(NAMES), generator=torch.Generator().manual_seed(4))
    found = dict(zip(method.facts()["conditions"], method.condition(values).T, strict=True))
    assert {"age", "yaw"} <= set(found)
    for name, raw in found.items():
        attribute = ATTRIBUTES[index_of(name)]
        expected = attribute.low + values[:, index_of(name)] * (attribute.high - attribute.low)
        assert torch.allclose(raw, expected, atol=1e-4)


def test_standardised_conditions_have_no_mean_and_unit_spread() -> None:
    data, method = known_data(), trained()
    conditions = method.condition(data.values[:-64])
    assert torch.allclose(conditions.mean(dim=0), torch.zeros(len(COLUMNS)), atol=1e-4)
    assert torch.allclose(conditions.std(dim=0), torch.ones(len(COLUMNS)), atol=1e-4)


def test_only_the_code_that_cannot_be_solved_is_lost() -> None:
    (ws, values), method = faces(4), fitted()
    whole = method.edit(ws, strengths(4, age=0.5), values)
    values[2, index_of("yaw")] = math.nan
    edited = method.edit(ws, strengths(4, age=0.5), values)
    kept = layer_masks(18)[index_of("age")]
    assert bool(edited[2, kept].isnan().all()) and torch.equal(edited[2, ~kept], ws[2, ~kept])
    assert torch.allclose(edited[[0, 1, 3]], whole[[0, 1, 3]], atol=1e-4)


class InterruptedTrainingError(Exception):
    """A training that was stopped."""


@pytest.mark.parametrize("stop", [3, 4])
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
    small(batch=17).fit(toy.fit_data(64, checkpoints=tmp_path))
    for expected in ("other settings", "cannot be read"):
        again = small()
        again.fit(toy.fit_data(64, checkpoints=tmp_path))
        assert expected in caplog.text
        assert all(torch.equal(tensor, again.state()[name]) for name, tensor in whole.state().items())
        (tmp_path / "styleflow.pt").write_bytes(b"half a file")


def test_a_rate_that_is_too_high_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "SAVE_SECONDS", 0.0)
    with pytest.raises(TrainingDivergedError, match="Lower learning_rate"):
        small(learning_rate=10.0, steps=30).fit(toy.fit_data(64, checkpoints=tmp_path))
    assert not any(tmp_path.iterdir()), "a retry does not go on from diverged weights"


def test_a_loss_that_is_not_a_number_is_told() -> None:
    data = toy.fit_data(64)
    data.w[:32] = math.nan
    with pytest.raises(TrainingDivergedError):
        small().fit(data)


def test_prepared_faces_are_encoded_once_and_edited_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    method, faces = fitted(), toy.faces(6)
    change = strengths(6, age=0.3)
    plain = method.edit_faces(faces, change)
    prepared = method.prepared(faces)
    ways: list[str] = []
    solve = method._solve
    monkeypatch.setattr(method, "_solve", lambda way, *rest: (ways.append(way), solve(way, *rest))[1], raising=False)
    assert not torch.equal(plain, faces.ws)
    torch.testing.assert_close(method.edit_faces(prepared, change), plain, atol=1e-4, rtol=0)
    rows = torch.tensor([4, 1, 1])
    torch.testing.assert_close(method.edit_faces(prepared[rows], change[rows]), plain[rows], atol=1e-4, rtol=0)
    assert set(ways) == {"decode"}
    moved = method.edited(prepared, change)
    method.edit_faces(moved, change)
    assert "encode" in ways, "a face that moved is encoded again"
