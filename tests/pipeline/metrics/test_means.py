"""The metrics that are means of per-image measures: identity, LPIPS, SSIM, detection; and seconds."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.metrics.detection import DETECTED_SHARE
from pipeline.metrics.identity import IDENTITY_DISTANCE
from pipeline.metrics.lpips import LPIPS
from pipeline.metrics.speed import SECONDS_PER_EDIT, SECONDS_PER_EDIT_AND_SYNTHESIS
from pipeline.metrics.ssim import SSIM
from tests.builders.edit_sets import edit_set


def test_an_edit_that_does_nothing_is_perfect():
    edits = edit_set()
    assert {j.estimate.value for j in IDENTITY_DISTANCE.score(edits)} == {0.0}
    assert LPIPS.score(edits)[0].estimate.value == 0.0
    assert SSIM.score(edits)[0].estimate.value == 1.0
    assert DETECTED_SHARE.score(edits)[0].estimate.value == 1.0


def test_identity_is_over_detected_images_alone():
    """The paper's distance cannot be taken where there is no face; the share of those is a score of its own."""
    distance = np.tile([9.0, 0.1, 0.1, 0.1, 9.0], 12).astype(np.float32)
    detected = np.tile([False, True, True, True, False], 12)
    edits = edit_set(identity_mtcnn=distance, detected=detected)
    mtcnn = IDENTITY_DISTANCE.score(edits)[0]
    assert mtcnn.role == "mtcnn"
    assert mtcnn.estimate.value == pytest.approx(0.1)
    assert (mtcnn.estimate.n_images, mtcnn.estimate.n_faces) == (36, 12)
    assert DETECTED_SHARE.score(edits)[0].estimate.value == pytest.approx(0.6)


def test_without_any_face_there_is_no_identity_distance():
    judgements = IDENTITY_DISTANCE.score(edit_set(detected=np.zeros(60, dtype=bool)))
    assert all(np.isnan(judgement.estimate.value) for judgement in judgements)
    assert "fewer than 10 faces" in IDENTITY_DISTANCE.flags(judgements[0])


def test_recognizer_a_is_flagged_as_trained_on():
    flags = {j.role: IDENTITY_DISTANCE.flags(j) for j in IDENTITY_DISTANCE.score(edit_set())}
    assert flags == {"mtcnn": "", "recognizer_b": "", "recognizer_a": "recognizer A is in the training loss of l2l"}


def test_all_attributes_pool_by_faces():
    """Two attributes of twelve faces rest on twelve faces, not on twenty-four."""
    lpips = np.concatenate([np.full(60, 0.2), np.full(60, 0.4)])
    estimate = LPIPS.score(edit_set(attributes=("age", "yaw"), lpips=lpips))[0].estimate
    assert (estimate.value, estimate.n_faces, estimate.n_images) == (pytest.approx(0.3), 12, 120)
    assert estimate.high - estimate.low == pytest.approx(0.0, abs=1e-12)


def test_seconds_are_medians_over_repetitions():
    timings = {
        "seconds_per_edit": np.array([1.0, 2.0, 90.0, 2.0, 2.0]),
        "seconds_per_edit_and_synthesis": np.full(5, 3.0),
    }
    edits = edit_set(timings=timings)
    alone = SECONDS_PER_EDIT.score(edits)[0]
    assert (alone.role, alone.estimate.value, alone.estimate.n_images) == ("none", 2.0, 5)
    assert SECONDS_PER_EDIT_AND_SYNTHESIS.score(edits)[0].estimate.value == 3.0
    assert not SECONDS_PER_EDIT.per_attribute
