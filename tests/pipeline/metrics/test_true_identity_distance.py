"""The distance of true identity factors, and the error of whoever reads them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.metrics.true_identity_distance import TRUE_IDENTITY_DISTANCE, TRUE_IDENTITY_ERROR, score, score_error
from pipeline.statistics.bootstrap import Estimate, widening
from tests.builders.edit_sets import edit_set


def read(distance: list[float], error: float = 0.3, **given: np.ndarray) -> Estimate:
    """The score of twelve faces that all have these distances at their five steps."""
    edits = edit_set(
        true_identity_distance=np.tile(distance, 12).astype(np.float32),
        true_identity_error=np.full(60, error, np.float32),
        **given,
    )
    (judgement,) = score(edits)
    assert judgement.role == "reader"
    return judgement.estimate


def test_an_edit_that_does_nothing_moves_nobody() -> None:
    estimate = read([0.0] * 5)
    assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, 0.0)


def test_another_person_at_every_step_is_one() -> None:
    estimate = read([1.0] * 5)
    assert (estimate.value, estimate.n_faces, estimate.n_images) == (pytest.approx(1.0), 12, 60)


def test_the_interval_reaches_down_by_the_readers_error_in_quadrature() -> None:
    """Faces that are all alike leave no interval but the reader's."""
    estimate = read([0.5] * 5, error=0.3)
    assert (estimate.low, estimate.high) == (pytest.approx(0.4), pytest.approx(0.5))


def test_a_distance_below_the_error_may_be_none() -> None:
    estimate = read([0.2] * 5, error=0.3)
    assert (estimate.value, estimate.low) == (pytest.approx(0.2), 0.0)


def test_two_methods_that_differ_by_less_than_the_reader_can_tell_overlap() -> None:
    near, close, far = read([0.30] * 5), read([0.35] * 5), read([0.70] * 5)
    assert close.low < near.high
    assert far.low > close.high


def test_a_perfect_reader_leaves_the_bootstrap_of_the_faces_alone() -> None:
    distance = np.random.default_rng(3).random(60).astype(np.float32)
    edits = edit_set(true_identity_distance=distance, true_identity_error=np.zeros(60, np.float32))
    assert score(edits)[0].estimate == edits.mean(distance.astype(np.float64))


def test_the_low_end_is_a_bootstrap_of_what_is_left_of_each_image() -> None:
    """By hand: take the error off every image, then average resampled faces."""
    distance = np.random.default_rng(4).random(60).astype(np.float32)
    edits = edit_set(true_identity_distance=distance, true_identity_error=np.full(60, 0.4, np.float32))
    left = [max(0.0, float(d) ** 2 - np.float64(np.float32(0.4)) ** 2) ** 0.5 for d in distance]
    by_face = np.reshape(left, (12, 5)).mean(axis=1)
    resampled = [np.average(by_face, weights=row) for row in edits.bootstrap.counts(12)]
    low = by_face.mean() - (by_face.mean() - np.quantile(resampled, 0.025)) * widening(12, 0.95)
    assert score(edits)[0].estimate.low == pytest.approx(low)


def test_images_without_a_face_are_left_out() -> None:
    detected = np.tile([False, True, True, True, False], 12)
    estimate = read([9.0, 0.4, 0.4, 0.4, 9.0], detected=detected)
    assert (estimate.value, estimate.n_images) == (pytest.approx(0.4), 36)
    lost = read([0.4] * 5, detected=np.zeros(60, dtype=bool))
    assert np.isnan(lost.value) and lost.n_images == 0


def test_the_error_has_a_row_of_its_own_in_the_same_unit() -> None:
    edits = edit_set(true_identity_error=np.full(60, 0.35, np.float32))
    (judgement,) = score_error(edits)
    assert (judgement.role, judgement.estimate.value) == ("reader", pytest.approx(0.35))
    assert TRUE_IDENTITY_ERROR.unit == TRUE_IDENTITY_DISTANCE.unit
    assert (TRUE_IDENTITY_DISTANCE.better, TRUE_IDENTITY_ERROR.better) == ("lower", "neither")


def test_where_no_truth_is_known_there_is_no_score() -> None:
    nothing = np.full(60, np.nan, np.float32)
    edits = edit_set(true_identity_distance=nothing, true_identity_error=nothing)
    assert score(edits) == score_error(edits) == []


def test_few_faces_are_flagged() -> None:
    edits = edit_set(faces=6)
    assert TRUE_IDENTITY_DISTANCE.flags(score(edits)[0]) == "fewer than 10 faces"
