"""The rule of benchmarks/tune.py: the largest strength within a loss, as many tries for all, disjoint codes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import tune
from pipeline.attributes import EVALUATED, NAMES
from pipeline.chain.sets import SETS, id_range
from pipeline.domains import base
from pipeline.methods import registry
from pipeline.settings.settings import load_settings
from tests.worlds import toy

ROOT = Path(__file__).parents[2]


def test_the_change_is_read_at_the_largest_strength_within_the_loss() -> None:
    def measure(powers: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        strengths = 2**powers * asked
        return 3 * strengths, 0.1 * strengths

    changes, losses = tune.largest(measure, tune.HIGHEST, loss=0.5)
    assert torch.allclose(changes, torch.full((8, 2), 15.0), rtol=0.02)
    assert bool((losses <= 0.5).all())
    changes, _ = tune.largest(measure, 0.0, loss=0.5)
    assert torch.equal(changes, torch.full((8, 2), 3.0)), "the largest strength loses less"
    changes, _ = tune.largest(measure, tune.HIGHEST, loss=0.0)
    assert not changes.any()


def test_every_method_has_as_many_tries_and_begins_with_its_defaults() -> None:
    assert tune.GRIDS
    for name, grid in tune.GRIDS.items():
        assert len(grid) == tune.TRIES and grid[0] == {}
        assert len({str(changes) for changes in grid}) == tune.TRIES
        for changes in grid:
            registry.build(name, changes)


@pytest.mark.parametrize("profile", ["smoke", "standard", "full"])
def test_no_stage_uses_these_codes(profile: str) -> None:
    settings = load_settings(
        profile=profile, known_methods=registry.names(), known_domains=base.names(), path=ROOT / "luigi.cfg"
    )
    for which in (*SETS, "naming"):
        first, count = id_range(settings, which)
        assert first + count <= tune.FIRST_ID


def test_a_method_that_knows_the_directions_beats_a_random_one() -> None:
    domain = toy.load()
    data, held = tune.prepared(domain, 3, 600, 16, naming=4)
    known = tune.measured(tune.fitted("interfacegan", {"chosen": 0.2}, data), domain, held, 0.01)
    random = tune.measured(tune.fitted("random", {}, data), domain, held, 0.01)
    assert known["mean"] > 1 > abs(random["mean"])
    assert set(known["by_attribute"]) == set(EVALUATED) and len(NAMES) == 35
    text = tune.table("interfacegan", [({}, random), ({"chosen": 0.2}, known)])
    assert f"| chosen = 0.2 | **{known['mean']:.2f}** |" in text and "| defaults |" in text
