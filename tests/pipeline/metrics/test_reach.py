"""Shares that were reached, and what scorer B saw of the change, where both are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.metrics.base import get
from tests.builders.edit_sets import matched_set


def test_the_share_is_of_all_that_was_sought() -> None:
    for missed in (0, 6, 24):
        reached = np.arange(24) >= missed
        (judgement,) = get("unreached_share").score(matched_set(reached=reached))
        assert judgement.estimate.value == pytest.approx(missed / 24)
        assert (judgement.estimate.n_faces, judgement.estimate.n_images) == (12, 24)


def test_a_change_up_and_one_down_count_alike() -> None:
    (judgement,) = get("attribute_change_reported").score(matched_set(level=1.5))
    assert judgement.estimate.value == pytest.approx(1.5)


def test_what_goes_the_wrong_way_counts_against_it() -> None:
    towards = np.where(np.arange(24) < 12, 1.0, -0.5)
    wrong = towards * np.tile([1, -1], 12)
    (judgement,) = get("attribute_change_reported").score(matched_set(change_b=wrong.astype(np.float32)))
    assert judgement.estimate.value == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["identity_distance", "true_identity_distance", "lpips", "ssim"])
def test_scores_of_both_protocols_are_of_the_reached_alone(name: str) -> None:
    reached = np.arange(24) < 8
    column = {"identity_distance": "identity_mtcnn"}.get(name, name)
    values = np.where(reached, 0.25, 9.0).astype(np.float32)
    first = get(name).score(matched_set(reached=reached, **{column: values}))[0]
    assert first.estimate.value == pytest.approx(0.25) and first.estimate.n_faces == 4
    assert get(name).score(matched_set(reached=np.zeros(24, bool))) == []
