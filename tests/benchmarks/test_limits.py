"""The table of limits: wall seconds of stages that ran at the same time, and core seconds of what is there."""

from __future__ import annotations

from benchmarks.limits import core_seconds, covered
from pipeline.planning.plan import MISSING, Planned


def missing(stage: str, seconds: float | None) -> Planned:
    return Planned(stage, "noop", "", f"{stage} noop", MISSING, 10, "images", 0, seconds, None, "nowhere")


def test_seconds_of_stages_at_the_same_time_count_once() -> None:
    assert covered([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]) == 4.0


def test_a_rate_is_of_all_workers_but_in_a_training() -> None:
    assert core_seconds(missing("edits", 3.0), 2) == 6.0
    assert core_seconds(missing("train", 3.0), 2) == 3.0
    assert core_seconds(missing("edits", None), 2) is None
