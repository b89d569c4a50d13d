"""Every method with StyleFlow's table: its own edit in the table's layers, the code elsewhere."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.errors import ConfigError
from pipeline.methods import registry
from pipeline.methods.interface import Method
from pipeline.methods.layer_table import layer_masks
from pipeline.methods.masking import masked
from tests.builders.chains import stage_of
from tests.worlds import px8, toy


@cache
def inner() -> Method:
    method = registry.build("random", {})
    method.fit(toy.fit_data(64))
    return method


def change(**named: float) -> Tensor:
    vectors = torch.zeros(3, len(NAMES))
    for name, strength in named.items():
        vectors[:, index_of(name)] = strength
    return vectors


@pytest.mark.parametrize("name", [*EVALUATED, "exposure"])
def test_one_attribute_moves_its_layers_alone(name: str) -> None:
    faces, method = toy.faces(3), masked(inner(), "styleflow")
    edited, whole = method.edit_faces(faces, change(**{name: 0.7})), inner().edit_faces(faces, change(**{name: 0.7}))
    kept = layer_masks(toy.LAYERS)[index_of(name)]
    assert torch.equal(edited[:, kept], whole[:, kept]) and torch.equal(edited[:, ~kept], faces.ws[:, ~kept])
    assert not torch.equal(edited, faces.ws)


def test_several_attributes_move_each_its_own_layers() -> None:
    """Layer by layer, with strengths that differ between faces."""
    faces, method = toy.faces(3), masked(inner(), "styleflow")
    vectors = change(beard=1.0, yaw=-0.5, glasses=0.3) * torch.tensor([[1.0], [-2.0], [0.0]])
    edited = method.edit(faces.ws, vectors, faces.values)
    for layer in range(toy.LAYERS):
        own = vectors * layer_masks(toy.LAYERS)[:, layer]
        assert torch.allclose(edited[:, layer], inner().edit_faces(faces, own)[:, layer], atol=1e-6)
    assert torch.equal(edited[2], faces.ws[2])


@pytest.mark.parametrize("rows", [slice(0, 3), slice(1, 2)])
def test_in_a_chain_each_layer_carries_what_its_own_edits_asked_for(rows: slice) -> None:
    """A layer ends where the inner method's edits by the layer's attributes, one after the other, end."""
    flow = registry.build("styleflow", {"steps": 6, "batch": 16, "width": 8, "layers": 1, "copy_back": False})
    flow.fit(toy.fit_data(64))
    faces, method = toy.faces(3)[rows], masked(flow, "styleflow")
    edits = [edit[rows] * torch.tensor([[1.0], [0.0], [-1.0]])[rows] for edit in (change(age=0.5), change(yaw=0.4))]
    edits.append(change(gender=-0.5, beard=0.3)[rows])
    found = faces
    for edit in edits:
        found = method.edited(found, edit)
    for layer in range(toy.LAYERS):
        expected = faces
        for edit in edits:
            own = edit * layer_masks(toy.LAYERS)[:, layer]
            after = flow.edited(expected, own)
            expected = replace(after, values=after.values.where(~after.values.isnan(), expected.values))
        assert torch.allclose(found.ws[:, layer], expected.ws[:, layer], atol=1e-4)
    assert not torch.allclose(found.ws, faces.ws, atol=1e-2)


def test_no_edit_is_the_code_itself_even_of_a_method_that_moves_it() -> None:
    class Restless(type(inner())):  # type: ignore[misc]
        exact_identity = False

        def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
            return ws + 1.0

    faces, method = toy.faces(3), masked(Restless(), "styleflow")
    assert method.exact_identity and torch.equal(method.edit_faces(faces, change()), faces.ws)
    beard = method.edit_faces(faces, change(beard=1.0)) - faces.ws
    assert torch.equal((beard != 0).all(dim=2)[0], layer_masks(toy.LAYERS)[index_of("beard")])


def test_the_mask_is_a_setting_of_every_method_and_sets_it_apart() -> None:
    for name in registry.names():
        plain, none, with_mask = (
            registry.build(name, mask) for mask in ({}, {"layer_mask": "none"}, {"layer_mask": "styleflow"})
        )
        assert plain.parameters() == none.parameters() and type(plain) is type(none)
        assert with_mask.parameters() == plain.parameters() | {"layer_mask": "styleflow"}
        assert (with_mask.name, with_mask.version, with_mask.unit) == (plain.name, plain.version, plain.unit)
        assert registry.build(name, with_mask.parameters()).parameters() == with_mask.parameters()
    with pytest.raises(ConfigError, match=r"\[method.l2l\] layer_mask: expected none or styleflow"):
        registry.build("l2l", {"layer_mask": "sefa"})


def test_what_is_saved_is_the_inner_method(tmp_path: Path) -> None:
    masked(inner(), "styleflow").save(tmp_path)
    loaded = masked(type(inner()).load(tmp_path), "styleflow")
    faces = toy.faces(3)
    assert torch.equal(
        loaded.edit_faces(faces, change(age=1.0)), masked(inner(), "styleflow").edit_faces(faces, change(age=1.0))
    )


def test_a_mask_has_stages_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and edits are published apart from those without it, whose fingerprints stay."""
    px8.lend(monkeypatch)
    plain = px8.tiny_settings(tmp_path)
    found = {}
    for mask in (None, "none", "styleflow"):
        extra = () if mask is None else (("layer_mask", mask),)
        methods = tuple((name, (*own, *extra)) for name, own in plain.methods)
        settings = replace(plain, methods=methods)
        found[mask] = [stage_of(settings, kind, px8.METHOD).fingerprint for kind in ("train", "edits")]
    assert found[None] == found["none"]
    assert all(one != other for one, other in zip(found["none"], found["styleflow"], strict=True))
