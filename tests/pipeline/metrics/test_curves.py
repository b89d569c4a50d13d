"""Rate curves: a perfect editor, one that does nothing, one that destroys, and a slow reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.metrics.base import RateSet, get, names
from pipeline.metrics.curves import area, curve, value_at
from pipeline.statistics.bootstrap import Bootstrap, Estimate, widening

FACES, STRENGTHS = 20, 10


def rate_set(flipped: Any, preserved: Any, accepted: Any = 1.0, level: float | None = None) -> RateSet:
    """Faces x strengths, from anything that broadcasts to them; rows are shuffled, since order must not matter."""
    face, index = (places.ravel() for places in np.indices((FACES, STRENGTHS)))
    order = np.random.default_rng(5).permutation(len(face))
    columns = {
        name: np.broadcast_to(values, (FACES, STRENGTHS)).astype(np.float64).ravel()[order]
        for name, values in (("flipped", flipped), ("preserved", preserved), ("accepted", accepted))
    }
    columns |= {"face_id": face[order] + 7, "strength_index": index[order] + 1}
    return RateSet(method="m", attribute="age", columns=columns, bootstrap=Bootstrap(200), level=level)


def score(name: str, edits: RateSet) -> Estimate:
    (judgement,) = get(name).score(edits)
    return judgement.estimate


RISING = np.arange(1, STRENGTHS + 1) / STRENGTHS > (np.arange(FACES) / FACES)[:, None]  # faces flip one after another


def test_a_perfect_editor_scores_one() -> None:
    edits = rate_set(RISING, 1.0)
    for name in ("preservation_area", "acceptance_area", "target_change_rate"):
        assert score(name, edits).value == pytest.approx(1.0)
    assert score("preservation_rate", rate_set(RISING, 1.0, level=0.75)).value == pytest.approx(1.0)


def test_an_editor_that_does_nothing_scores_nothing() -> None:
    edits = rate_set(False, 1.0)
    for name in ("preservation_area", "acceptance_area", "target_change_rate"):
        found = score(name, edits)
        assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    (judgement,) = get("preservation_rate").score(rate_set(False, 1.0, level=0.5))
    assert np.isnan(judgement.estimate.value)
    assert (judgement.estimate.low, judgement.estimate.high) == (None, None)
    assert "not reached" in get("preservation_rate").flags(judgement)


def test_an_editor_that_destroys_the_person_keeps_its_preservation_apart() -> None:
    edits = rate_set(RISING, 1.0, accepted=0.0)
    assert score("preservation_area", edits).value == pytest.approx(1.0)
    assert score("acceptance_area", edits).value == pytest.approx(0.1 / 2)  # the step from the unedited face


def test_a_curve_takes_only_strengths_that_flip_more() -> None:
    x, y = curve(np.array([[0.2, 0.2, 0.1, 0.6, 0.5]]), np.array([[0.9, 0.1, 0.2, 0.5, 0.4]]))
    assert x.tolist() == [[0.0, 0.2, 0.2, 0.2, 0.6, 0.6]]
    assert y.tolist() == [[1.0, 0.9, 0.9, 0.9, 0.5, 0.5]]
    assert area(x, y) == pytest.approx(0.2 * 0.95 + 0.4 * 0.7)
    assert value_at(x, y, 0.4) == pytest.approx(0.7)
    assert (value_at(x, y, 0.2), value_at(x, y, 0.6)) == (0.9, 0.5)
    assert np.isnan(value_at(x, y, 0.61))


def test_curves_of_many_resamples_are_those_of_one_at_a_time() -> None:
    """Rates in tenths, so that strengths tie and rates to read at are met exactly; some curves never rise."""
    rng = np.random.default_rng(6)
    flipped = rng.integers(0, 11, size=(300, STRENGTHS)) / 10 * (rng.random((300, 1)) > 0.1)
    kept = rng.random((300, STRENGTHS))
    areas = area(*curve(flipped, kept))
    heights = {rate: value_at(*curve(flipped, kept), rate) for rate in (0.05, 0.5, 0.75, 0.9)}
    missing = 0
    for row in range(300):
        x, y = [0.0], [1.0]
        for rate, value in zip(flipped[row], kept[row], strict=True):
            if rate > x[-1]:
                x.append(rate)
                y.append(value)
        assert areas[row] == pytest.approx(np.trapezoid(y, x), abs=1e-12)
        for rate, found in heights.items():
            missing += rate > x[-1]
            expected = np.interp(rate, x, y) if rate <= x[-1] else np.nan
            assert found[row] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert 0 < missing < 600


def test_scores_and_intervals_are_those_of_a_slow_loop() -> None:
    rng = np.random.default_rng(3)
    flipped = np.sort(rng.random((FACES, STRENGTHS)), axis=1) > 0.4
    preserved = 1 - np.sort(rng.random((FACES, STRENGTHS)), axis=1) / 2
    edits = rate_set(flipped, preserved)

    def slow(faces: list[int]) -> float:
        x, y, total = 0.0, 1.0, 0.0
        for index in range(STRENGTHS):
            rate = sum(bool(flipped[face, index]) for face in faces) / len(faces)
            kept = sum(preserved[face, index] for face in faces) / len(faces)
            if rate > x:
                total += (rate - x) * (y + kept) / 2
                x, y = rate, kept
        return total

    found = score("preservation_area", edits)
    assert found.value == pytest.approx(slow(list(range(FACES))))
    drawn = [slow(np.repeat(np.arange(FACES), counts.astype(int)).tolist()) for counts in edits.bootstrap.counts(FACES)]
    ends = found.value + (np.quantile(drawn, [0.025, 0.975]) - found.value) * widening(FACES, 0.95)
    assert (found.low, found.high) == pytest.approx(tuple(ends))
    assert (found.n_faces, found.n_images) == (FACES, FACES * STRENGTHS)


def test_a_duplicated_set_scores_the_same() -> None:
    rng = np.random.default_rng(4)
    flipped, preserved = rng.random((FACES, STRENGTHS)) > 0.5, rng.random((FACES, STRENGTHS))
    once = rate_set(flipped, preserved)
    columns = {name: np.concatenate([values, values]) for name, values in once.columns.items()}
    columns["face_id"] = np.concatenate([once.faces, once.faces + 1000])
    twice = RateSet(method="m", attribute="age", columns=columns, bootstrap=Bootstrap(200))
    assert score("preservation_area", twice).value == pytest.approx(score("preservation_area", once).value)


def test_the_protocol_knows_its_metrics() -> None:
    assert set(names("rates-1")) == {
        "target_change_rate",
        "preservation_area",
        "acceptance_area",
        "preservation_rate",
        "acceptance_rate",
    }
