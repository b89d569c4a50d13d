"""Nights whose differences are known: what is flagged, as what, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.nights.findings import BETTER, DRIFT, STEP, WORSE, GateResult
from pipeline.nights.gate import corrected, gate
from pipeline.nights.history import Night
from pipeline.settings.nights import Watch
from tests.builders import published_nights as nights
from tests.builders.published_nights import publish, values_of

RNG = np.random.default_rng(5)


def compared(night: Night, before: list[Night], notes: Any = ()) -> GateResult:
    return gate(night, before, notes, Watch())


def series(outputs: Path, *values: np.ndarray, **more: Any) -> tuple[Night, list[Night]]:
    """Nights of the method l2l; the last one, and those before it."""
    found = [publish(outputs, day, {"l2l": each}, **more) for day, each in enumerate(values)]
    return found[-1], found[:-1]


def test_the_first_night_has_nothing_to_compare_with(tmp_path: Path) -> None:
    result = compared(*series(tmp_path, values_of(1)))
    assert not result.since and not result.findings and result.new == ["l2l"] and not result.alarming


def test_the_same_bits_are_not_tested(tmp_path: Path) -> None:
    result = compared(*series(tmp_path, values_of(1), values_of(1)))
    assert result.since == "2026-11-01" and result.measured == [] and result.tested == result.moved == 0


def test_a_change_on_every_face_is_a_regression_or_an_improvement(tmp_path: Path) -> None:
    """Both metrics are better where they are lower."""
    before = values_of(1)
    result = compared(*series(tmp_path, before, before + np.array([[0.05], [-0.05]])))
    assert {(f.metric, f.verdict) for f in result.findings} == {("identity_distance", WORSE), ("lpips", BETTER)}
    assert {f.attribute for f in result.findings} == {"age", "all"} and result.tested == result.moved == 4
    (first, *_) = result.findings
    assert first.kind == STEP and first.since == "2026-11-01" and first.n == 16 and first.p <= 0.005
    assert first.after - first.before == pytest.approx(0.05) and result.alarming


def test_an_improvement_alone_alarms_nobody(tmp_path: Path) -> None:
    result = compared(*series(tmp_path, values_of(1), values_of(1) - 0.05))
    assert len(result.findings) == 4 and not result.alarming


def test_noise_of_faces_is_no_change(tmp_path: Path) -> None:
    before = values_of(1)
    result = compared(*series(tmp_path, before, before + RNG.normal(0, 0.05, before.shape)))
    assert result.tested == result.moved == 4 and not result.findings


def test_the_last_digits_of_judges_are_no_change(tmp_path: Path) -> None:
    """A new driver moves every face by the same rounding: far below what a network can tell apart."""
    result = compared(*series(tmp_path, values_of(1), values_of(1) + 3e-6))
    assert result.measured == ["l2l"] and result.moved == 4 and not result.findings


def test_few_faces_can_prove_nothing_and_say_so(tmp_path: Path) -> None:
    before = values_of(1, n_faces=4)
    result = compared(*series(tmp_path, before, before + 0.05))
    assert not result.findings and result.least_p == 0.125


def test_a_night_is_compared_with_the_last_of_its_own_kind(tmp_path: Path) -> None:
    other = publish(tmp_path, 1, {"l2l": values_of(1) + 1}, settings={"protocol": {"seed": 8}, "methods": {}})
    first = publish(tmp_path, 0, {"l2l": values_of(1)})
    without = publish(tmp_path, 2, {"noop": values_of(2)})
    last = publish(tmp_path, 3, {"l2l": values_of(1) + 0.05, "noop": values_of(2)})
    result = compared(last, [first, other, without])
    assert result.nights == 3 and result.measured == ["l2l"]
    assert {finding.since for finding in result.findings} == {"2026-11-01"}


def drifting(day: int) -> np.ndarray:
    """Every face moves about at random, and all of them a little further each night."""
    noise = np.random.default_rng([7, day]).normal(0, 0.05, (2, 16))
    return values_of(1) + 0.03 * day + noise - noise.mean(axis=1, keepdims=True)


def test_a_slow_drift_is_found_though_no_night_changed_much(tmp_path: Path) -> None:
    found = [publish(tmp_path, day, {"l2l": drifting(day)}) for day in range(9)]
    results = [compared(night, found[:place]) for place, night in enumerate(found)]
    assert not any(finding.kind == STEP for result in results for finding in result.findings)
    assert results[3].drifts_tested == 0 and results[4].drifts_tested == 2
    (first, *_) = [result for result in results if result.findings]
    assert {(f.kind, f.verdict, f.since) for f in first.findings} == {(DRIFT, WORSE, "2026-11-01")}


def test_a_drift_is_told_once(tmp_path: Path) -> None:
    found = [publish(tmp_path, day, {"l2l": drifting(day)}) for day in range(9)]
    told = compared(found[7], found[:7])
    assert told.findings
    again = compared(found[8], found[:8], [nights.note(found[7], told.as_json())])
    assert not again.findings and again.drifts_tested == 0


def test_nights_that_measured_nothing_are_no_evidence_of_a_trend(tmp_path: Path) -> None:
    values = [values_of(1)] * 6 + [values_of(1) + RNG.normal(0, 0.05, (2, 16))] * 6
    assert compared(*series(tmp_path, *values)).drifts_tested == 0


def test_notes_keep_the_whole_result(tmp_path: Path) -> None:
    result = compared(*series(tmp_path, values_of(1), values_of(1) + 0.05))
    assert result.findings and GateResult.from_json(result.as_json()) == result


def test_correction_is_benjamini_and_hochbergs() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.02, 1.0])
    assert corrected(p)[[0, 2, 3, 4]] == pytest.approx([0.04, 0.16 / 3, 0.04, 1.0]) and np.isnan(corrected(p)[1])


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"versions": {"l2l": 2}}, "method version 1 -> 2"),
        ({"weights": {"generator": "ab" * 32, "scorer_b": "ef" * 32}}, "weights of scorer_b cdcdcdcd -> efefefef"),
        ({"packages": {"numpy": "2.4.0", "torch": "2.12.0"}}, "package torch 2.11.0 -> 2.12.0"),
        ({"stage": {"driver": "590.1"}}, "driver none -> 590.1"),
        ({"stage": {"host": "other"}}, "machine none -> other"),
        ({"stage": {"commit": "abcdef0123456789+changes"}}, "commit unknown -> abcdef0123+changes"),
        ({"stage": {"version": 2}}, "version of scores 1 -> 2"),
    ],
)
def test_the_cause_is_what_changed(tmp_path: Path, more: dict[str, Any], cause: str) -> None:
    before = publish(tmp_path, 0, {"l2l": values_of(1)})
    night = publish(tmp_path, 1, {"l2l": values_of(1) + 0.05}, **more)
    found = compared(night, [before]).findings
    assert found and found[0].causes[0] == cause


def test_without_a_cause_that_is_what_is_said(tmp_path: Path) -> None:
    (first, *_) = compared(*series(tmp_path, values_of(1), values_of(1) + 0.05)).findings
    assert first.causes == [
        "nothing that is recorded changed: the same code, packages, weights and machine gave other numbers"
    ]


def test_a_setting_of_the_method_is_a_cause(tmp_path: Path) -> None:
    sides = []
    for day, steps in enumerate((20, 40)):
        manifest = {"settings": {"protocol": {}, "methods": {"l2l": {"steps": steps}}}}
        sides.append(publish(tmp_path, day, {"l2l": values_of(1) + 0.05 * day}, **manifest))
    (first, *_) = compared(sides[1], sides[:1]).findings
    assert first.causes == ["setting l2l.steps 20 -> 40"]


def test_packages_are_those_of_the_time_of_the_measurement(tmp_path: Path) -> None:
    """Torch was raised two nights ago, when nothing was measured: tonight's measurement is the first that sees it."""
    old, new = {"numpy": "2.4.0", "torch": "2.11.0"}, {"numpy": "2.4.0", "torch": "2.12.0"}
    started = {"started": "2026-11-01T03:00:00+00:00"}
    nights_before = [
        publish(tmp_path, 0, {"l2l": values_of(1)}, packages=old, stage=started),
        publish(tmp_path, 1, {"l2l": values_of(1)}, packages=new, stage={**started, "packages": {"torch": "2.11.0"}}),
    ]
    night = publish(tmp_path, 2, {"l2l": values_of(1) + 0.05}, packages=new)
    (first, *_) = compared(night, nights_before).findings
    assert first.since == "2026-11-02" and first.causes == ["package torch 2.11.0 -> 2.12.0"]
