"""What every registered method must satisfy, ours and those of plug-ins alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.attributes import NAMES, index_of
from pipeline.errors import ConfigError, StageError, UnknownNameError
from pipeline.methods import registry
from pipeline.methods.base import Method
from tests import toy

# What makes a method quick to fit on the toy; others are fitted as they come.
QUICK = {"interfacegan": {"chosen": 0.2}, "l2l": {"steps": 150, "batch": 32, "width": 128, "layers": 2}}
NOISE = 1e-4  # of sums in another order
STILL = 0.1  # mean distances that a zero edit may move, where it is not exactly the identity

each_method = pytest.mark.parametrize("name", registry.names())


def fit(name: str, seed: int = 5) -> Method:
    method = registry.build(name, QUICK.get(name, {}))
    method.fit(toy.fit_data(600, seed=seed))
    return method


fitted: Callable[[str], Method] = lru_cache(fit)


def codes(count: int = 6) -> tuple[Tensor, Tensor]:
    """ws (N, L, 512) and values (N, 35) of fresh faces."""
    w = toy.draw_w(count, seed=99)
    return toy.load().generator.mapping.broadcast(w), toy.values_of(w)


def strengths(count: int = 6, **named: float) -> Tensor:
    vectors = torch.zeros(count, len(NAMES))
    for name, strength in named.items():
        vectors[:, index_of(name)] = strength
    return vectors


@each_method
def test_facts_are_declared(name: str) -> None:
    kind = registry.get(name)
    assert kind.name == name and kind.version >= 1 and kind.unit and kind.paper.title
    assert kind.supervision in ("labels", "none")


@each_method
def test_strength_zero_changes_nothing(name: str) -> None:
    ws, values = codes()
    edited = fitted(name).edit(ws, strengths(), values)
    if fitted(name).exact_identity:
        assert torch.equal(edited, ws)
    assert float((edited - ws).norm(dim=2).max()) < STILL * toy.MEAN_DISTANCE
    assert edited is not ws and edited.data_ptr() != ws.data_ptr()


@each_method
def test_inputs_are_not_modified(name: str) -> None:
    ws, values = codes()
    change = strengths(age=0.5, yaw=-0.5)
    before = ws.clone(), change.clone(), values.clone()
    fitted(name).edit(ws, change, values)
    assert all(torch.equal(now, then) for now, then in zip((ws, change, values), before, strict=True))


@each_method
def test_shape_type_and_device_are_kept(name: str) -> None:
    ws, values = codes()
    edited = fitted(name).edit(ws, strengths(glasses=1.0), values)
    assert edited.shape == ws.shape and edited.dtype == ws.dtype == torch.float32 and edited.device == ws.device
    assert bool(torch.isfinite(edited).all())
    assert not edited.requires_grad


@each_method
def test_no_faces_give_no_edits(name: str) -> None:
    ws, values = codes()
    assert fitted(name).edit(ws[:0], strengths(0), values[:0]).shape == (0, *ws.shape[1:])


@each_method
def test_codes_may_differ_between_layers(name: str) -> None:
    ws, values = codes(2)
    mixed = torch.cat([ws[:1, :3], ws[1:, 3:]], dim=1)
    edited = fitted(name).edit(mixed, strengths(1, age=0.5), values[:1])
    single = fitted(name).edit(ws, strengths(2, age=0.5), values)
    assert torch.allclose(edited[0, :3], single[0, :3], atol=NOISE)
    assert torch.allclose(edited[0, 3:], single[1, 3:], atol=NOISE)


@each_method
def test_same_seed_same_method(name: str) -> None:
    ws, values = codes()
    change = strengths(age=1.0, smile=-0.5)
    assert torch.equal(fit(name).edit(ws, change, values), fitted(name).edit(ws, change, values))


@each_method
def test_save_and_load_agree(name: str, tmp_path: Path) -> None:
    ws, values = codes()
    method, change = fitted(name), strengths(beard=0.7, pitch=-1.0)
    method.save(tmp_path)
    loaded = type(method).load(tmp_path)
    loaded.to(torch.device("cpu"))
    assert torch.equal(loaded.edit(ws, change, values), method.edit(ws, change, values))
    assert loaded.parameters() == method.parameters()
    assert loaded.facts() == method.facts()
    again = tmp_path / "again"
    again.mkdir()
    loaded.save(again)
    for file in ("method.safetensors", "method.json"):
        assert (again / file).read_bytes() == (tmp_path / file).read_bytes()


@each_method
def test_faces_do_not_depend_on_their_batch(name: str) -> None:
    ws, values = codes()
    change = strengths(gender=1.0) * torch.linspace(-1, 1, 6)[:, None]
    together = fitted(name).edit(ws, change, values)
    alone = torch.cat([fitted(name).edit(ws[i : i + 1], change[i : i + 1], values[i : i + 1]) for i in range(6)])
    assert torch.allclose(together, alone, atol=NOISE)


@each_method
def test_several_attributes_change_in_one_edit(name: str) -> None:
    ws, values = codes()
    method = fitted(name)
    both = method.edit(ws, strengths(age=0.6, yaw=-0.6), values)
    for alone in (method.edit(ws, strengths(age=0.6), values), method.edit(ws, strengths(yaw=-0.6), values)):
        assert name == "noop" or not torch.allclose(both, alone, atol=NOISE)


@each_method
def test_parameters_build_the_same_method(name: str) -> None:
    parameters = registry.build(name, QUICK.get(name, {})).parameters()
    assert registry.build(name, parameters).parameters() == parameters


@each_method
def test_unknown_settings_are_named(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[method.{name}\] speling"):
        registry.build(name, {"speling": 1})


@each_method
def test_another_version_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = fitted(name)
    method.save(tmp_path)
    monkeypatch.setattr(type(method), "version", method.version + 1)
    with pytest.raises(StageError, match="Train it again"):
        type(method).load(tmp_path)


def test_the_closest_name_is_told() -> None:
    with pytest.raises(UnknownNameError, match="'interfacegan'"):
        registry.build("interfacegam", {})
    with pytest.raises(ConfigError, match="Did you mean 'chosen'"):
        registry.build("interfacegan", {"choosen": 0.1})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("interfacegan", "chosen", 0),
        ("interfacegan", "chosen", float("nan")),
        ("interfacegan", "train_share", 1.0),
        ("interfacegan", "c", -1.0),
        ("interfacegan", "conditions", "aeg"),
        ("interfacegan", "conditions", 3),
        ("l2l", "layers", 0),
        ("l2l", "layers", 2.5),
        ("l2l", "residual", 1),
        ("l2l", "batch", 1),
        ("l2l", "threshold", 0.9),
        ("l2l", "single_share", 0.95),
        ("l2l", "learning_rate", 0.0),
        ("l2l", "weight_face", -1),
        ("l2l", "steps", True),
    ],
)
def test_settings_out_of_range_are_named(name: str, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[method.{name}\] {key}"):
        registry.build(name, {key: value})
