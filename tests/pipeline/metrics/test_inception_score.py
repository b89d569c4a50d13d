from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.metrics.base import Reference, Splits
from pipeline.metrics.inception_score import (
    INCEPTION_SCORE,
    INCEPTION_SCORE_DIFFERENCE,
    INCEPTION_SCORE_SPREAD,
    inception_score,
    probabilities,
    scores_by_face,
)
from tests.builders.edit_sets import edit_set


def certain(classes: np.ndarray, count: int = 4) -> np.ndarray:
    return (50 * np.eye(count)[classes]).astype(np.float32)


def plain(logits: np.ndarray) -> float:
    """Salimans et al.'s formula, image by image."""
    p = probabilities(logits)
    marginal = p.mean(axis=0)
    return float(
        np.exp(np.mean([sum(pi * np.log(pi / mi) for pi, mi in zip(row, marginal, strict=True)) for row in p]))
    )


def test_sure_and_evenly_spread_classes_score_their_number():
    logits = certain(np.arange(40) % 4)
    assert inception_score(logits, 1, np.random.default_rng(0))[0] == pytest.approx(4.0)


def test_one_class_and_no_idea_both_score_one():
    rng = np.random.default_rng(0)
    assert inception_score(certain(np.zeros(40, dtype=int)), 4, rng) == pytest.approx((1.0, 0.0))
    assert inception_score(np.zeros((40, 4)), 4, rng) == pytest.approx((1.0, 0.0))


def test_duplicated_images_score_the_same():
    logits = np.random.default_rng(1).normal(size=(30, 5))
    rng = np.random.default_rng(0)
    doubled = np.concatenate([logits, logits])
    assert inception_score(doubled, 1, rng)[0] == pytest.approx(inception_score(logits, 1, rng)[0])


def test_agrees_with_the_formula_in_parts():
    logits = np.random.default_rng(2).normal(size=(30, 5)) * 2
    order = np.random.default_rng(7).permutation(30)
    parts = [plain(logits[order[start : start + 10]]) for start in (0, 10, 20)]
    mean, spread = inception_score(logits, 3, np.random.default_rng(7))
    assert (mean, spread) == pytest.approx((np.mean(parts), np.std(parts)))


def test_parts_of_images_that_do_not_divide_evenly_end_where_salimans_code_ends_them():
    logits = np.random.default_rng(2).normal(size=(8, 5)) * 2
    order = np.random.default_rng(7).permutation(8)
    parts = [plain(logits[order[start:stop]]) for start, stop in ((0, 2), (2, 5), (5, 8))]
    mean, spread = inception_score(logits, 3, np.random.default_rng(7))
    assert (mean, spread) == pytest.approx((np.mean(parts), np.std(parts)))


def test_face_sums_give_the_score_of_a_resample():
    logits, faces = np.random.default_rng(3).normal(size=(12, 5)), np.repeat([0, 1, 2], 4)
    sums = scores_by_face(logits, faces, 1, np.random.default_rng(0))
    drawn = np.concatenate([logits[:4], logits[:4], logits[8:]])
    assert sums.parts(np.array([[2.0, 0.0, 1.0]]))[0, 0] == pytest.approx(plain(drawn))


def test_score_spread_and_difference_are_three_numbers():
    logits = np.random.default_rng(4).normal(size=(60, 4)).astype(np.float32)
    edits = edit_set(logits=logits, reference=Reference(np.zeros((60, 8), np.float32), logits))
    score = INCEPTION_SCORE.score(edits)[0].estimate.value
    spread = INCEPTION_SCORE_SPREAD.score(edits)[0].estimate.value
    assert score > 1.0
    assert 0.0 < spread < score
    assert INCEPTION_SCORE_DIFFERENCE.score(edits)[0].estimate.value == pytest.approx(0.0, abs=1e-12)


def test_difference_compares_as_many_images():
    """Of a reference ten times as large the first images count, since the score grows with the number."""
    logits = np.random.default_rng(4).normal(size=(600, 4)).astype(np.float32)
    edits = edit_set(logits=logits[:60], reference=Reference(np.zeros((600, 8), np.float32), logits))
    assert INCEPTION_SCORE_DIFFERENCE.score(edits)[0].estimate.value == pytest.approx(0.0, abs=1e-12)
    short = replace(edits, reference=Reference(np.zeros((20, 8), np.float32), logits[:20]))
    assert "only 20 reference images" in INCEPTION_SCORE_DIFFERENCE.score(short)[0].flag


def test_small_parts_are_flagged():
    assert INCEPTION_SCORE.score(edit_set(splits=Splits(inception_score_splits=1)))[0].flag == ""
    assert "images in a part" in INCEPTION_SCORE.score(edit_set())[0].flag
