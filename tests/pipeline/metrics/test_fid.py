from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cleanfid import fid as cleanfid

from pipeline.metrics import fid
from pipeline.metrics.base import Reference
from pipeline.metrics.fid import FID, FaceMoments, FaceProducts, distance_to_root, frechet_distance, resampled_distances
from tests.builders.edit_sets import edit_set


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def gaussian(rng: np.random.Generator, count: int, width: int = 8, shift: float = 0.0) -> np.ndarray:
    mix = np.random.default_rng(9).normal(size=(width, width)) / np.sqrt(width)
    return (rng.normal(size=(count, width)) @ mix + shift).astype(np.float32)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = features.astype(np.float64)
    return features.mean(axis=0), np.cov(features, rowvar=False)


def test_the_same_images_are_at_no_distance(rng: np.random.Generator) -> None:
    features = gaussian(rng, 60)
    edits = edit_set(features=features, reference=Reference(features, np.zeros((60, 4), np.float32)))
    assert FID.score(edits)[0].estimate.value == pytest.approx(0.0, abs=1e-6)


def test_duplicated_images_are_at_next_to_no_distance(rng: np.random.Generator) -> None:
    features = gaussian(rng, 60)
    doubled = np.concatenate([features, features])
    edits = edit_set(features=features, reference=Reference(doubled, np.zeros((120, 4), np.float32)))
    assert FID.score(edits)[0].estimate.value == pytest.approx(0.0, abs=1e-2)


def test_a_shift_adds_its_square(rng: np.random.Generator) -> None:
    features = gaussian(rng, 60)
    edits = edit_set(features=features + 3.0, reference=Reference(features, np.zeros((60, 4), np.float32)))
    assert FID.score(edits)[0].estimate.value == pytest.approx(8 * 9.0, rel=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_value_is_clean_fids(rng: np.random.Generator) -> None:
    edits = edit_set(features=gaussian(rng, 60, shift=0.5))
    expected = cleanfid.fid_from_feats(edits.features.astype(np.float64), edits.reference.features.astype(np.float64))
    assert FID.score(edits)[0].estimate.value == pytest.approx(expected, rel=1e-9)


def test_the_resamples_form_equals_clean_fids(rng: np.random.Generator) -> None:
    one, reference = moments(gaussian(rng, 200, 16)), Reference(gaussian(rng, 300, 16), np.zeros((300, 2), np.float32))
    fast = distance_to_root(*one, *reference.moments, reference.root)
    assert fast == pytest.approx(frechet_distance(*one, *reference.moments), rel=1e-7)


def test_singular_covariances_give_a_finite_distance(rng: np.random.Generator) -> None:
    few, many = moments(gaussian(rng, 5, 40)), moments(gaussian(rng, 7, 40))
    assert np.isfinite(frechet_distance(*few, *many))


def test_face_moments_are_those_of_the_resampled_images(rng: np.random.Generator) -> None:
    features, faces = gaussian(rng, 20), np.repeat([3, 5, 8, 9], 5)
    counts = np.array([2.0, 0.0, 1.0, 1.0])
    drawn = np.concatenate([features[faces == 3]] * 2 + [features[faces == 8], features[faces == 9]])
    mean, covariance = FaceMoments(features, faces).moments(counts)
    expected_mean, expected_covariance = moments(drawn)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-12)
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-9)


def test_drawing_every_face_once_is_the_score_itself(rng: np.random.Generator) -> None:
    edits = edit_set(features=gaussian(rng, 60, shift=0.2))
    once = resampled_distances(FaceMoments(edits.features, edits.faces), edits.reference, np.ones((1, 12)))
    assert once[0] == pytest.approx(FID.score(edits)[0].estimate.value, rel=1e-6)


def test_interval_holds_the_value(rng: np.random.Generator) -> None:
    estimate = FID.score(edit_set(features=gaussian(rng, 60, shift=0.2)))[0].estimate
    assert estimate.low < estimate.value < estimate.high


def test_too_few_images_are_flagged(rng: np.random.Generator) -> None:
    enough, few = edit_set(width=8, faces=60, steps=1), edit_set(width=8, faces=3, steps=5)
    assert FID.score(enough)[0].flag == ""
    assert "fewer than 16 images" in FID.score(few)[0].flag
    short = replace(enough, reference=Reference(gaussian(rng, 10), np.zeros((10, 4), np.float32)))
    assert "fewer than 16 images" in FID.score(short)[0].flag


def test_images_of_few_faces_are_flagged() -> None:
    assert FID.score(edit_set(width=8))[0].flag == "taken for independent: images of fewer than 1,000 faces"


def wide_set(rng: np.random.Generator, count: int, width: int):
    features = gaussian(rng, count, width)
    reference = gaussian(rng, 90, width, 0.3)
    return edit_set(features=features, faces=count // 5, reference=Reference(reference, np.zeros((90, 4), np.float32)))


def test_products_of_images_give_the_distance_of_any_resample(rng: np.random.Generator) -> None:
    """With fewer images than dimensions: as the eigenvalues of (d, d) matrices have it, and as clean-fid has it."""
    edits = wide_set(rng, 30, 40)
    products = FaceProducts(edits.features, edits.faces, edits.reference)
    faces = FaceMoments(edits.features, edits.faces)
    counts = np.random.default_rng(2).multinomial(6, np.full(6, 1 / 6), size=5)
    ours = [products.distance(row) for row in counts]
    assert ours == pytest.approx(resampled_distances(faces, edits.reference, counts), rel=1e-5)
    theirs = cleanfid.frechet_distance(*moments(edits.features), *edits.reference.moments)
    assert products.distance(np.ones(6)) == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("count", [30, 60])
def test_many_dimensions_take_another_way_to_the_same_score(
    rng: np.random.Generator, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = wide_set(rng, count, 40)
    usual = FID.score(edits)[0].estimate
    monkeypatch.setattr(fid, "WIDEST", 20)
    wide = FID.score(edits)[0].estimate
    assert (wide.value, wide.low, wide.high) == pytest.approx((usual.value, usual.low, usual.high), rel=2e-3)
    assert (wide.n_faces, wide.n_images) == (usual.n_faces, usual.n_images)
