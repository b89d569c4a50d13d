from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cleanfid import fid as cleanfid

from pipeline.metrics import kid
from pipeline.metrics.base import Reference
from pipeline.metrics.kid import KID, FaceKernels, few_faces, kernel, kernel_distance, sum_apart
from pipeline.metrics.kid_same_codes import KID_SAME_CODES
from tests.builders.edit_sets import edit_set


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def unbiased(features: np.ndarray, reference: np.ndarray) -> float:
    """The double loop."""
    d = features.shape[1]
    total = 0.0
    for one, sign in ((features, 1), (reference, 1)):
        n = len(one)
        pairs = [(one[i] @ one[j] / d + 1) ** 3 for i in range(n) for j in range(n) if i != j]
        total += sign * sum(pairs) / (n * (n - 1))
    cross = [(x @ y / d + 1) ** 3 for x in features for y in reference]
    return total - 2 * np.mean(cross)


def test_agrees_with_the_double_loop_when_the_subset_is_the_whole(rng: np.random.Generator) -> None:
    one, other = rng.normal(size=(30, 6)), rng.normal(size=(30, 6)) + 0.3
    found = kernel_distance(one, other, subsets=1, subset_size=30, seed=0)
    assert found == pytest.approx(unbiased(one, other), abs=1e-10)


def test_is_clean_fids_function_with_a_seed_and_leaves_numpy_as_it_was(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the tiles; of float32, clean-fid's own sums are exact to some 1e-6."""
    one, other = rng.normal(size=(80, 6)), rng.normal(size=(90, 6)) + 0.3
    np.random.seed(5)
    expected_next = np.random.random()
    np.random.seed(5)
    found = []
    for tile in (7, 40, 512):
        monkeypatch.setattr(kid, "TILE", tile)
        found.append(kernel_distance(one, other, subsets=7, subset_size=40, seed=11))
    single = kernel_distance(one.astype(np.float32), other.astype(np.float32), subsets=7, subset_size=40, seed=11)
    assert np.random.random() == expected_next
    np.random.seed(11)
    expected = cleanfid.kernel_distance(other, one, num_subsets=7, max_subset_size=40)
    assert found == pytest.approx([expected] * 3, rel=1e-12)
    assert single == pytest.approx(expected, abs=1e-5)


def test_sums_over_the_reference_are_made_once_for_all_methods(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores are equal to the bit with and without, also for another attribute and another number of images."""
    reference = Reference(rng.normal(size=(90, 6)).astype(np.float32), np.zeros((90, 4), np.float32))
    sizes: list[int] = []

    def counted(features: np.ndarray) -> float:
        sizes.append(len(features))
        return sum_apart(features)

    monkeypatch.setattr(kid, "sum_apart", counted)
    made = []
    for faces, attribute in [(12, "age"), (12, "age"), (12, "yaw"), (11, "age"), (12, "age")]:
        features = rng.normal(size=(faces * 5, 6)).astype(np.float32)
        edits = edit_set(faces=faces, attributes=(attribute,), features=features, reference=reference)
        sizes.clear()
        found = KID.score(edits)[0].estimate.value
        made.append(len(sizes))
        fresh = replace(edits, reference=Reference(reference.features, reference.logits))
        assert found == KID.score(fresh)[0].estimate.value
    assert made == [20, 10, 20, 20, 10], "ten subsets of each set"


def test_two_samples_of_one_distribution_are_near_zero(rng: np.random.Generator) -> None:
    values = [
        kernel_distance(rng.normal(size=(100, 6)), rng.normal(size=(100, 6)), subsets=5, subset_size=80, seed=s)
        for s in range(20)
    ]
    assert abs(np.mean(values)) < 0.02


def test_useless_images_are_far(rng: np.random.Generator) -> None:
    edits = edit_set()
    noise = edit_set(features=(10 * rng.normal(size=(60, 8)) + 5).astype(np.float32))
    assert KID.score(noise)[0].estimate.value > 100 * abs(KID.score(edits)[0].estimate.value)


def test_sums_over_faces_give_the_distance_of_the_whole_sets(rng: np.random.Generator) -> None:
    features, faces = rng.normal(size=(20, 6)), rng.permutation(np.repeat([4, 7, 9, 2], 5))
    reference = rng.normal(size=(25, 6))
    found = FaceKernels(features, faces, reference).distances(np.ones((1, 4)))[0]
    own = kernel(reference, reference)
    constant = (own.sum() - np.trace(own)) / (25 * 24)
    assert found + constant == pytest.approx(unbiased(features, reference), abs=1e-9)


def test_sums_over_faces_give_the_distance_of_a_resample(rng: np.random.Generator) -> None:
    """A face drawn twice brings its images twice, and an image is no pair with itself."""
    features, faces = rng.normal(size=(12, 6)), np.repeat([0, 1, 2], 4)
    reference = rng.normal(size=(9, 6))
    found = FaceKernels(features, faces, reference).distances(np.array([[2.0, 0.0, 1.0]]))[0]
    drawn = np.concatenate([features[:4], features[:4], features[8:]])
    own = kernel(drawn, drawn)
    expected = (own.sum() - np.trace(own)) / (12 * 11) - 2 * kernel(drawn, reference).mean()
    assert found == pytest.approx(expected, abs=1e-9)


def test_sums_between_faces_are_those_of_the_whole_kernel(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiles that end inside a face, and images in no order."""
    features, faces = rng.normal(size=(30, 6)), rng.integers(0, 5, size=30)
    reference = rng.normal(size=(9, 6))
    of_face = (faces == np.arange(5)[:, None]).astype(float)
    for tile in (4, 7, 512):
        monkeypatch.setattr(kid, "TILE", tile)
        kernels = FaceKernels(features, faces, reference)
        np.testing.assert_allclose(kernels.between, of_face @ kernel(features, features) @ of_face.T, rtol=1e-12)
        expected = of_face @ kernel(features, reference).sum(axis=1)
        np.testing.assert_allclose(kernels.to_reference, expected, rtol=1e-12)


def test_the_kernel_is_the_cube(rng: np.random.Generator) -> None:
    one, other = rng.normal(size=(8, 6)), rng.normal(size=(9, 6))
    np.testing.assert_allclose(kernel(one, other), (one @ other.T / 6 + 1) ** 3, rtol=1e-13)


def test_interval_holds_the_value() -> None:
    estimate = KID.score(edit_set())[0].estimate
    assert estimate.low < estimate.value < estimate.high


def test_duplicated_images_still_have_a_finite_distance(rng: np.random.Generator) -> None:
    features = np.repeat(rng.normal(size=(12, 8)), 5, axis=0).astype(np.float32)
    edits = edit_set(features=features, reference=Reference(features, np.zeros((60, 4), np.float32)))
    assert np.isfinite(KID.score(edits)[0].estimate.value)


def test_doing_nothing_many_times_is_far_from_the_reference_and_at_no_distance_from_itself(
    rng: np.random.Generator,
) -> None:
    """Sets of 8 faces of the reference's own distribution, each standing there six times, as no edit leaves them."""
    drawn, once, same = [], [], []
    reference = Reference(rng.normal(size=(300, 6)), np.zeros((300, 4)))
    for _ in range(40):
        faces = rng.normal(size=(8, 6))
        images = np.repeat(faces, 6, axis=0)
        edits = edit_set(faces=8, steps=6, features=images, originals=images, reference=reference)
        drawn.append(KID.score(edits)[0].estimate.value)
        same.append(KID_SAME_CODES.score(edits)[0].estimate.value)
        once.append(KID.score(edit_set(faces=8, steps=1, features=faces, reference=reference))[0].estimate.value)
    error = np.std(once) / np.sqrt(40)
    assert abs(np.mean(once)) < 3 * error, "unbiased where every image is of another face"
    assert np.mean(drawn) > 10 * error
    assert np.abs(same).max() < 1e-9


def test_it_is_flagged_until_few_pairs_are_of_one_face() -> None:
    flag = "taken for independent: images of fewer than 1,000 faces"
    assert few_faces(np.full(50, 328.0)) == few_faces(np.full(950, 41.0)) == flag
    assert few_faces(np.full(1000, 41.0)) == few_faces(np.ones(4)) == ""
    assert KID.score(edit_set())[0].flag == few_faces(np.full(50, 5.0))
    assert KID.score(edit_set(faces=60, steps=1))[0].flag == ""
