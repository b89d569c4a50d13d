"""Measured rates are kept per machine, and are advice: whatever is wrong with them stops nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.execution.throughput import measured_as_set, measured_seconds, store_seconds
from tests.builders.counting_stage import run, settings

GOOD = {"seconds": 2.0, "when": "2026-01-01", "unit": "images", "units": 1}
DAMAGED = [
    "",
    "{",
    "[]",
    "3",
    '{"a": 1}',
    '{"a": {"b": {}}}',
    '{"a": {"b": {"seconds": NaN, "when": "x"}}}',
    '{"a": {"b": {"seconds": "1", "when": "x"}}}',
    '{"a": {"b": {"seconds": 1, "when": null}}}',
    "[" * 200_000,
]


def test_rates_are_measured_and_kept_per_machine(tmp_path: Path) -> None:
    run(settings(tmp_path), tmp_path / "notes")
    rates = measured_seconds(tmp_path)
    assert list(rates) == ["toy/numbers toy"] and 0 < rates["toy/numbers toy"] < 1
    stored = json.loads((tmp_path / "rates.json").read_text())
    stored["cuda-1x1"] = {"toy/numbers toy": {"seconds": 5.0, "when": "2999-01-01", "unit": "latents", "units": 1}}
    (tmp_path / "rates.json").write_text(json.dumps(stored))
    assert measured_seconds(tmp_path)["toy/numbers toy"] == 5.0, "the newest"
    assert measured_seconds(tmp_path, settings(tmp_path)) == rates, "this machine's own"


def test_rates_of_another_precision_serve_until_this_one_is_measured(tmp_path: Path) -> None:
    full = settings(tmp_path)
    narrow = replace(full, experiment=replace(full.experiment, precision="bfloat16"))
    elsewhere = full.on(threads=7)
    store_seconds(elsewhere, "labels", "images", 8, 9.0)
    store_seconds(full, "labels", "images", 8, 2.0)
    assert measured_seconds(tmp_path, narrow) == {"toy/labels": 2.0} and not measured_as_set(narrow)
    store_seconds(narrow, "labels", "images", 8, 1.0)
    assert measured_seconds(tmp_path, narrow) == {"toy/labels": 1.0} and measured_as_set(narrow)
    assert measured_seconds(tmp_path, full) == {"toy/labels": 2.0}
    assert measured_seconds(tmp_path, elsewhere) == {"toy/labels": 9.0}


def test_no_rates_is_no_error(tmp_path: Path) -> None:
    assert measured_seconds(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_rates_are_none_and_are_written_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "rates.json").write_text(content)
    assert measured_seconds(tmp_path) == {}
    store_seconds(settings(tmp_path), "labels", "images", 8, 0.5)
    assert measured_seconds(tmp_path) == {"toy/labels": 0.5}


def test_a_damaged_row_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "rates.json").write_text(json.dumps({"a": {"bad": {}, "good": GOOD}, "b": 1}))
    assert measured_seconds(tmp_path) == {"good": 2.0}


def test_a_folder_in_its_place_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "rates.json").mkdir()
    assert measured_seconds(tmp_path) == {}
    store_seconds(settings(tmp_path), "labels", "images", 8, 0.5)
    assert "The measured seconds of labels were not stored" in caplog.text


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".rates.json.tmp-0123"
    other = tmp_path / ".other.json.tmp-0123"
    leftover.touch()
    other.touch()
    store_seconds(settings(tmp_path), "labels", "images", 8, 0.5)
    assert not leftover.exists() and other.exists()
