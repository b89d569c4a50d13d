"""A method learns the attributes that it is set to, the same as with all others beside them, and refuses the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.errors import ConfigError, StageError
from pipeline.methods import registry
from pipeline.methods.learned import learned_attributes, learned_columns
from pipeline.methods.subject import strengths
from tests.worlds import toy

SETTINGS: dict[str, dict[str, Any]] = {
    "interfacegan": {"chosen": 0.2},
    "interfacegan_z": {"chosen": 0.2},
    "interfacegan_conditional": {"chosen": 0.2},
    "interfacegan_shuffled": {"chosen": 0.2},
    "higan": {"chosen": 0.2, "rescored": 4},
    "rfm": {"samples": 100, "iterations": 3},
}


def learn(name: str, **settings: Any) -> Any:
    method = registry.build(name, SETTINGS[name] | settings)
    method.fit(toy.fit_data(200))
    return method


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_learned_does_not_depend_on_what_else_is(name: str) -> None:
    few, every = learn(name, attributes="roll, expression"), learn(name, attributes="all")
    learned, conditions = [index_of("smile"), index_of("roll")], name == "interfacegan_conditional"
    assert torch.equal(few.directions_[learned], every.directions_[learned])
    assert few.directions_.any(dim=1).nonzero().flatten().tolist() == learned
    assert every.directions_.any(dim=1).all()
    facts = few.facts().get("boundaries", few.facts().get("regressions"))
    assert set(facts) == {"smile", "roll"} | (set(EVALUATED.values()) if conditions else set())
    if name == "higan":
        assert set(few.facts()["rescoring"]) == {"expression"} and set(every.facts()["rescoring"]) == set(EVALUATED)


@pytest.mark.parametrize("name", SETTINGS)
def test_an_edit_of_another_attribute_is_refused(name: str) -> None:
    method, faces = learn(name, attributes="age, roll"), toy.faces(3)
    both = strengths(faces, age=1.0, roll=-1.0)
    assert not torch.equal(method.edit_faces(faces, both), faces.ws)
    both[1, index_of("hair_red")] = 0.5
    with pytest.raises(StageError, match=rf"{name} learned roll, age, and cannot change hair_red\. Name them in luigi"):
        method.edit_faces(faces, both)


def test_a_condition_needs_not_be_editable() -> None:
    plain = learn("interfacegan", attributes="age, hair_red").directions_.double()
    method = learn("interfacegan", attributes="age", conditions="hair_red")
    age, red = index_of("age"), index_of("hair_red")
    assert abs(float(plain[age] @ plain[red])) > 1e-3
    assert abs(float(method.directions_[age].double() @ plain[red])) < 1e-6
    assert not method.directions_[red].any() and method.facts()["boundaries"]["hair_red"]["trained"]


def test_the_evaluated_are_the_default() -> None:
    for name in SETTINGS:
        assert registry.build(name, {}).parameters()["attributes"] == "evaluated"
    assert [NAMES[column] for column in learned_columns("evaluated")] == sorted(EVALUATED.values(), key=index_of)
    assert learned_columns("all") == tuple(range(len(NAMES)))


@pytest.mark.parametrize("wrong", ["", " , ", "age, hair_rde", 3])
def test_a_wrong_setting_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"\[method\.rfm\] attributes: "):
        learned_attributes("rfm", wrong)
