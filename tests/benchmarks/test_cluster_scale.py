"""The simulation of a run on many workers, where the answer is known."""

from __future__ import annotations

import pytest

from benchmarks.cluster_scale import START_SECONDS, Pass, Shard, simulate

FAST = 1e15  # bits a second


def passes(*seconds: list[float], reads: dict[str, int] | None = None, writes: int = 0) -> list[tuple[str, Pass]]:
    return [(f"stage {number}", [Shard(one, reads or {}, writes) for one in row]) for number, row in enumerate(seconds)]


def test_equal_shards_are_shared_and_the_next_pass_waits_for_the_longest() -> None:
    took = simulate(passes([10.0] * 4, [30.0, 10.0]), 2, FAST)
    assert took.seconds == pytest.approx(START_SECONDS + 20 + 30) and took.busy == 80
    assert took.by_stage == pytest.approx({"stage 0": 20, "stage 1": 30})
    assert took.efficiency == pytest.approx(80 / (2 * (START_SECONDS + 50)))


def test_a_worker_gets_a_shard_when_it_has_none() -> None:
    assert simulate(passes([30.0, 10.0, 10.0, 10.0]), 2, FAST).seconds == pytest.approx(START_SECONDS + 30)


def test_one_link_sends_a_file_once_to_each_worker() -> None:
    took = simulate(passes([1.0] * 4, [1.0] * 4, reads={"latents": 125}), 2, 1000.0)  # a second for the file
    assert took.seconds == pytest.approx(START_SECONDS + 4 + 2), "the second worker waits for the first, once"


def test_what_shards_write_returns_over_the_link_one_after_the_other() -> None:
    assert simulate(passes([1.0, 1.0], writes=125), 2, 1000.0).seconds == pytest.approx(START_SECONDS + 3)
