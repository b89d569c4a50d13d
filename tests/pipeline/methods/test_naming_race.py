"""Pairs leave the race for a name when no resample of the codes gives them one."""

from __future__ import annotations

import pytest
import torch

from pipeline.methods.naming_race import FIRST_CODES, looks, named, selectivities, still_running

USABLE = torch.ones(3, dtype=torch.bool)
NONE, ALL = torch.zeros(3, dtype=torch.bool), torch.ones(3, dtype=torch.bool)


def of_first(*steps: list[float]) -> torch.Tensor:
    """Changes (P, 16, 3) of pairs that change the first attribute, by these steps, and nothing else."""
    seen = torch.zeros(len(steps), FIRST_CODES, 3, dtype=torch.float64)
    seen[:, :, 0] = torch.tensor(steps)
    return seen


def test_what_no_resample_prefers_leaves() -> None:
    best, worse = [1.0] * 16, [0.5, 1.0] * 8
    assert still_running(of_first(best, worse), USABLE, ALL, 0).tolist() == [True, False]
    assert still_running(of_first(worse, best), USABLE, ALL, 0).tolist() == [True, True], "the first holds two names"


def test_what_a_resample_prefers_stays_only_for_an_evaluated_attribute() -> None:
    """The second is ahead where a resample has the fifth code four times or more: 2 % of them."""
    rarely = [0.3] * 16
    rarely[4] = 3.5
    seen = of_first([1.0] * 16, rarely)
    assert still_running(seen, USABLE, ALL, 0).tolist() == [True, True]
    assert still_running(seen, USABLE, NONE, 0).tolist() == [True, False]


def test_an_unselective_pair_leaves_where_one_is_selective() -> None:
    seen = of_first([0.5] * 16, [2.0] * 16)
    seen[1, :, 1:] = 2.0
    seen = torch.cat([seen, seen[1:] / 2])  # the third is as unselective, and weaker
    assert still_running(seen, USABLE, ALL, 0).tolist() == [True, True, False], "the second holds the other names"
    assert still_running(seen[1:], USABLE, ALL, 0).tolist() == [True, False]


def test_an_attribute_that_nothing_changes_holds_one_pair() -> None:
    assert still_running(torch.zeros(5, 16, 3, dtype=torch.float64), USABLE, ALL, 0).tolist() == [True] + [False] * 4


def test_the_race_depends_on_the_seed_and_the_codes_alone() -> None:
    seen = torch.randn(40, 16, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    first = still_running(seen, USABLE, ALL, 0)
    assert 3 < int(first.sum()) < 40 and torch.equal(first, still_running(seen, USABLE, ALL, 0))
    assert torch.equal(first, still_running(torch.cat([seen, seen - 9]), USABLE, ALL, 0)[:40]), "others that lose"


@pytest.mark.parametrize("codes", [1, 16, 17, 24, 96, 512])
def test_the_looks_see_every_code_once(codes: int) -> None:
    seen = [code for rows in looks(codes) for code in range(rows.start, rows.stop)]
    assert seen == list(range(codes))
    assert all(rows.stop <= 2 * rows.start for rows in looks(codes)[1:])


def test_many_attributes_and_resamples_at_once_are_named_as_each_alone() -> None:
    changes = torch.randn(7, 9, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    winners, qualified = named(changes, selectivities(changes))
    assert qualified.any() and not qualified.all()
    for draw in range(7):
        alone = selectivities(changes[draw])
        for attribute in range(4):
            one, enough = named(changes[draw, :, attribute, None], alone[:, attribute, None])
            assert (int(one), bool(enough)) == (int(winners[draw, attribute]), bool(qualified[draw, attribute]))
