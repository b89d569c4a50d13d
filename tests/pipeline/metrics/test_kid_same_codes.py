from __future__ import annotations

import numpy as np
import pytest

from pipeline.metrics.kid import kernel
from pipeline.metrics.kid_same_codes import KID_SAME_CODES, distances, paired_sums
from pipeline.statistics.bootstrap import sums_by_face
from tests.builders.edit_sets import edit_set


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def by_the_loop(edited: np.ndarray, unedited: np.ndarray, faces: np.ndarray) -> float:
    """Means over all pairs of images of different faces, one by one."""

    def mean(first: np.ndarray, second: np.ndarray) -> float:
        count = range(len(faces))
        pairs = [(i, j) for i in count for j in count if faces[i] != faces[j]]
        return float(np.mean([(first[i] @ second[j] / first.shape[1] + 1) ** 3 for i, j in pairs]))

    return mean(edited, edited) + mean(unedited, unedited) - 2 * mean(edited, unedited)


def by_the_kernel(edited: np.ndarray, unedited: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The sums between faces out of the kernel of every two images."""
    of_face = (faces == np.unique(faces)[:, None]).astype(float)
    values = kernel(edited, edited) + kernel(unedited, unedited) - kernel(edited, unedited) - kernel(unedited, edited)
    return np.asarray(of_face @ values @ of_face.T)


def test_agrees_with_the_loop() -> None:
    edits = edit_set(faces=6, steps=3)
    expected = by_the_loop(edits.features.astype(np.float64), edits.originals.astype(np.float64), edits.faces)
    assert KID_SAME_CODES.score(edits)[0].estimate.value == pytest.approx(expected, rel=1e-6)


def test_a_method_that_changes_nothing_is_at_no_distance() -> None:
    features = edit_set().originals
    estimate = KID_SAME_CODES.score(edit_set(features=features, originals=features))[0].estimate
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx([0.0] * 3, abs=1e-9)


def test_drawing_a_face_twice_is_the_set_that_holds_it_twice_without_pairs_of_its_own(rng: np.random.Generator) -> None:
    faces = np.repeat([3, 5, 8, 9], 4)
    edited, unedited = rng.normal(size=(16, 6)), rng.normal(size=(4, 6)).repeat(4, axis=0)
    rows = np.concatenate([np.arange(4), np.arange(4), np.arange(8, 12), np.arange(12, 16)])
    expected = by_the_loop(edited[rows], unedited[rows], faces[rows])
    counts = np.array([[2.0, 0.0, 1.0, 1.0]])
    found = distances(paired_sums(edited, unedited, faces), sums_by_face(np.ones(16), faces), counts)
    assert found == pytest.approx([expected], rel=1e-9)


def test_sums_between_faces_are_those_of_every_two_images(rng: np.random.Generator) -> None:
    """Faces of different numbers of images, in no order."""
    faces = rng.permutation(np.repeat([3, 5, 8, 9], [1, 4, 2, 6]))
    edited, unedited = rng.normal(size=(13, 6)), rng.normal(size=(10, 6))[faces]
    found = paired_sums(edited, unedited, faces)
    np.testing.assert_allclose(found, by_the_kernel(edited, unedited, faces), rtol=1e-9)


def test_is_unbiased_where_edits_leave_the_distribution_as_it_is(rng: np.random.Generator) -> None:
    """Faces that become other faces of the same distribution: zero on average, which the biased form is not."""
    values = []
    for _ in range(200):
        edited, unedited = rng.normal(size=(10, 6)), rng.normal(size=(10, 6))
        values.append(by_the_loop(edited, unedited, np.arange(10)))
        edits = edit_set(faces=10, steps=1, features=edited, originals=unedited)
        assert KID_SAME_CODES.score(edits)[0].estimate.value == pytest.approx(values[-1], rel=1e-6)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_few_images_are_flagged_and_one_face_has_no_distance() -> None:
    (judgement,) = KID_SAME_CODES.score(edit_set())
    assert "fewer than 100 images" in KID_SAME_CODES.flags(judgement)
    assert np.isnan(KID_SAME_CODES.score(edit_set(faces=1))[0].estimate.value)
