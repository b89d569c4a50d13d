from __future__ import annotations

import numpy as np
import pytest
from cleanfid import fid as cleanfid

from pipeline.metrics.fid_same_codes import FID_SAME_CODES, PairedMoments
from tests.builders.edit_sets import edit_set


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


FACES = np.repeat(np.arange(12), 5)


def vectors(rng: np.random.Generator, width: int = 8) -> np.ndarray:
    """Of the unedited image of every edited one: 12 faces, 5 images each."""
    return rng.normal(size=(12, width)).astype(np.float32)[FACES]


def test_a_method_that_changes_nothing_is_at_no_distance_and_without_an_interval_to_speak_of(
    rng: np.random.Generator,
) -> None:
    features = vectors(rng)
    estimate = FID_SAME_CODES.score(edit_set(features=features, originals=features))[0].estimate
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx([0.0] * 3, abs=1e-6)


def test_a_shift_adds_its_square_whatever_the_reference(rng: np.random.Generator) -> None:
    features = vectors(rng)
    estimate = FID_SAME_CODES.score(edit_set(features=features + 2.0, originals=features))[0].estimate
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx([8 * 4.0] * 3, rel=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_value_is_clean_fids_with_each_unedited_image_as_often_as_its_edits(rng: np.random.Generator) -> None:
    edits = edit_set(features=vectors(rng) + rng.normal(size=(60, 8)).astype(np.float32), originals=vectors(rng))
    expected = cleanfid.fid_from_feats(edits.features.astype(np.float64), edits.originals.astype(np.float64))
    assert FID_SAME_CODES.score(edits)[0].estimate.value == pytest.approx(expected, rel=1e-7)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_resample_is_the_distance_of_the_images_that_it_holds(rng: np.random.Generator) -> None:
    order = rng.permutation(60)
    features, originals = (vectors(rng) + rng.normal(size=(60, 8)))[order], vectors(rng)[order]
    faces, counts = FACES[order], np.arange(12) % 4
    drawn = np.repeat(np.arange(60), counts[faces])
    expected = cleanfid.fid_from_feats(features[drawn].astype(np.float64), originals[drawn].astype(np.float64))
    assert PairedMoments(features, originals, faces).distance(counts.astype(float)) == pytest.approx(expected, rel=1e-7)


def test_fewer_faces_than_twice_the_dimensions_are_flagged() -> None:
    assert "12 unedited images, fewer than 16" in FID_SAME_CODES.score(edit_set(width=8))[0].flag
    assert FID_SAME_CODES.score(edit_set(width=8, faces=16))[0].flag == ""
