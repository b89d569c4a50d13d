"""The nights that were published, as a series."""

from __future__ import annotations

from pathlib import Path

from pipeline.chain.links import KINDS
from pipeline.nights.history import SCORED, measurements, published_nights
from tests.builders.published_nights import publish, values_of


def test_every_stage_that_holds_scores_is_known() -> None:
    assert {kind.name for kind in KINDS if "scores" in kind.tables} == SCORED


def test_nights_are_in_the_order_of_their_dates(tmp_path: Path) -> None:
    for day in (2, 0, 1):
        publish(tmp_path, day, {"l2l": values_of(1)})
    assert [night.date for night in published_nights(tmp_path)] == ["2026-11-01", "2026-11-02", "2026-11-03"]


def test_a_night_that_gave_the_same_bits_is_no_measurement(tmp_path: Path) -> None:
    for day, seed in enumerate((1, 1, 2, 2, 1)):
        publish(tmp_path, day, {"l2l": values_of(seed)})
    found = measurements(published_nights(tmp_path), "l2l")
    assert [night.date for night in found] == ["2026-11-01", "2026-11-03", "2026-11-05"]
    assert measurements(published_nights(tmp_path), "noop") == []
