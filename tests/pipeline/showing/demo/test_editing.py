"""What sliders do: the trained method's edit of a face drawn by its seed, scored as a run scores edits."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.attributes import index_of
from pipeline.chain.views import compare_views, look_at_codes, synthesise
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.images import to_uint8
from pipeline.methods import registry
from pipeline.methods.interface import Method
from pipeline.showing.demo.editing import Editing, EditOrder, _title
from pipeline.showing.strip import reading
from pipeline.showing.trained_run import TrainedRun


@pytest.fixture
def editing(published: Path) -> Editing:
    return Editing(TrainedRun(published))


def order(seed: int = 3, **strengths: float) -> EditOrder:
    return EditOrder("random", seed, tuple(strengths.items()))


def pixels(address: str) -> np.ndarray:
    head, _, data = address.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), int)


def ends(editing: Editing, attribute: str) -> tuple[float, float]:
    low, high = editing.facts["methods"]["random"]["ranges"][attribute]
    assert low < 0 < high
    return low, high


def test_facts_are_the_runs_ranges(editing: Editing) -> None:
    facts = editing.facts
    assert list(facts["methods"]) == ["noop", "random"] and facts["attributes"] == ["age", "glasses"]
    ranges = editing.run.table("ranges").to_pandas().set_index(["method", "attribute"])
    assert len(ranges) == 4
    for (method, attribute), row in ranges.iterrows():
        assert facts["methods"][method]["ranges"][attribute] == [row.low, row.high]
    assert facts["methods"]["random"]["unit"] == "length in W"


@torch.inference_mode()
def test_scores_are_those_of_a_run(editing: Editing) -> None:
    strength = ends(editing, "age")[1]
    result = editing.edit(order(age=strength))
    domain, face = editing.run.domain(), editing.run.sampled_face(3)
    vector = torch.zeros(1, 35)
    vector[0, index_of("age")] = strength
    after = look_at_codes(domain, editing.run.method("random").edit_faces(face, vector), 0.9)
    before = look_at_codes(domain, face.ws, 0.9)
    expected = compare_views(domain, after, before)["identity_recognizer_b"]
    assert result["identity"] == pytest.approx(float(expected), abs=1e-6) and result["identity"] > 1e-3
    assert result["detected"] == bool(after.found[0])
    for name in ("age", "glasses"):
        values = [float(view.values[0, index_of(name)]) for view in (before, after)]
        assert result["values"][name] == [reading(name, value) for value in values]
    shown = to_uint8(synthesise(domain, face.ws))[0].numpy().astype(int)
    assert np.abs(pixels(result["unedited"]) - shown).mean() < 12, "WebP of a picture of 16 px"


def test_a_seed_is_a_face(editing: Editing) -> None:
    again = Editing(editing.run)
    assert editing.edit(order(5))["unedited"] == again.edit(order(5))["unedited"]
    assert editing.edit(order(5))["unedited"] != editing.edit(order(6))["unedited"]
    assert editing.edit(order(5))["identity"] == pytest.approx(0, abs=1e-6), "nothing was edited"


def test_edits_along_directions_add_up(editing: Editing) -> None:
    both = editing.edit(order(age=ends(editing, "age")[1], glasses=ends(editing, "glasses")[0]))
    assert both["sum"] == pytest.approx(0, abs=1e-5)
    assert editing.edit(order(age=ends(editing, "age")[1]))["sum"] is None
    assert editing.edit(EditOrder("noop", 3, (("age", 1.0), ("glasses", 1.0))))["sum"] is None, "nothing moves"


def test_edits_that_do_not_add_up_are_measured(editing: Editing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that moves by the square of the sum of strengths: (1 + 1)^2 is twice as far as 1^2 + 1^2."""

    def edit(self: Method, ws: torch.Tensor, strengths: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return ws + strengths.sum(dim=1).square()[:, None, None]

    monkeypatch.setattr("pipeline.methods.controls.RandomDirection.edit", edit)
    strength = min(ends(editing, "age")[1], ends(editing, "glasses")[1])
    assert editing.edit(order(age=strength, glasses=strength))["sum"] == pytest.approx(1.0, rel=1e-4)


def test_strengths_beyond_the_range_and_unknown_names_are_refused(editing: Editing) -> None:
    low, high = ends(editing, "age")
    for strength in (low * 1.01, high * 1.01):
        with pytest.raises(ConfigError, match="expected a strength"):
            editing.edit(order(age=strength))
    for unknown in (replace(order(), method="rndom"), order(ages=0.0)):
        with pytest.raises(UnknownNameError):
            editing.edit(unknown)


def test_an_order_is_read_from_json() -> None:
    body = {"method": "l2l", "seed": 7, "strengths": {"age": 1, "yaw": -0.5}, "page": "1-2"}
    assert EditOrder.from_json(body) == EditOrder("l2l", 7, (("age", 1.0), ("yaw", -0.5)))


@pytest.mark.parametrize(
    "change",
    [
        {"method": 3},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 1.5},
        {"seed": True},
        {"strengths": [1]},
        {"strengths": {"age": "1"}},
        {"strengths": {"age": float("nan")}},
        {"strengths": {"age": True}},
    ],
)
def test_other_orders_are_refused(change: dict[str, object]) -> None:
    body = {"method": "l2l", "seed": 7, "strengths": {"age": 1.0}}
    assert EditOrder.from_json(body)
    for value in (body | change, None, [], {}):
        with pytest.raises(ConfigError):
            EditOrder.from_json(value)


def test_a_method_that_is_not_installed_any_more_has_no_title_and_a_fault_of_ours_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _title("noop") == registry.get("noop").paper.title
    assert _title("gone") == ""
    monkeypatch.setattr(registry, "get", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _title("noop")
