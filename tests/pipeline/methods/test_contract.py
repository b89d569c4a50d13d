"""What every registered method must satisfy, ours and those of plug-ins alike."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import pytest

from pipeline.domains.base import describe
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.methods import contract, registry
from pipeline.methods.cost import FACTS_BYTES
from pipeline.methods.subject import Subject
from tests.worlds import toy

# What makes a method quick to fit on the toy; others are fitted as they come.
QUICK = {
    "interfacegan": {"chosen": 0.2},
    "interfacegan_z": {"chosen": 12},
    "interfacegan_conditional": {"chosen": 0.2},
    "interfacegan_shuffled": {"chosen": 0.2},
    "higan": {"chosen": 0.2, "rescored": 8},
    "rfm": {"iterations": 5},
    "ganspace": {"components": 4, "samples": 3000},
    "sefa": {"directions": 3},
    "styleflow": {"steps": 20, "batch": 32, "width": 32, "layers": 2},
    "latentclr": {"steps": 6, "directions": 3, "batch": 4, "depth": 2, "groups": "all, 0-2"},
    "llf": {"steps": 6, "directions": 2, "clusters": 2, "images": 8, "batch": 4, "depth": 2, "groups": "seen, 2-3"},
    "l2l": {"steps": 150, "batch": 32, "width": 128, "layers": 2},
}

each_method = pytest.mark.parametrize("name", registry.names())


@lru_cache
def subject(name: str) -> Subject:
    """The method on the toy, fitted when first needed."""
    return Subject(name, lambda: toy.fit_data(600), toy.faces(6), toy.MEAN_DISTANCE, QUICK.get(name, {}))


@each_method
@pytest.mark.parametrize("check", contract.CHECKS)
def test_contract(name: str, check: str) -> None:
    contract.CHECKS[check](subject(name))


@each_method
def test_two_attributes_are_there_to_be_edited_at_once(name: str) -> None:
    """So that the check of edits of two attributes has something to compare: all methods but noop move two."""
    moved = list(islice(contract.moved_attributes(subject(name)), 2))
    assert len(moved) == (0 if name == "noop" else 2)


@each_method
def test_a_saved_method_is_as_large_as_its_cost_says(name: str, tmp_path: Path) -> None:
    method = subject(name).fitted
    method.save(tmp_path)
    cost = method.cost(replace(describe("synthface"), resolution=toy.SIZE))
    assert cost is not None
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 0.8 * cost.trained_bytes - FACTS_BYTES <= written <= 1.2 * cost.trained_bytes + FACTS_BYTES


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
        ("ganspace", "components", 0),
        ("ganspace", "samples", 1),
        ("ganspace", "groups", "2:5"),
        ("sefa", "directions", 513),
        ("sefa", "groups", "5-2"),
        ("interfacegan_conditional", "conditions", "aeg"),
        ("higan", "rescored", 0),
        ("higan", "distance", 0.0),
        ("higan", "kept", 1.5),
        ("rfm", "layers", 0),
        ("rfm", "c", 0.0),
        ("rfm", "clip", -0.1),
        ("styleflow", "conditions", "aeg"),
        ("styleflow", "batch", 1),
        ("styleflow", "gains", 1),
        ("styleflow", "tolerance", 0.0),
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
