from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from pipeline.statistics.bootstrap import Bootstrap, keyed_rng, sums_by_face


def test_a_key_gives_the_same_numbers_and_another_key_gives_others():
    first, again, other = (keyed_rng(1, "kid", name).random(4) for name in ("age", "age", "yaw"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, keyed_rng(2, "kid", "age").random(4))


def test_names_are_kept_apart():
    assert not np.array_equal(keyed_rng(1, "ab", "c").random(2), keyed_rng(1, "a", "bc").random(2))


def test_global_state_is_not_touched():
    before = np.random.get_state()[1].copy()
    Bootstrap(50).mean(np.arange(6.0), np.arange(6))
    assert np.array_equal(before, np.random.get_state()[1])


def test_every_resample_draws_as_many_faces_as_there_are():
    counts = Bootstrap(200).counts(7)
    assert counts.shape == (200, 7)
    assert (counts.sum(axis=1) == 7).all()


def test_sums_by_face_of_vectors():
    sums = sums_by_face(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([9, 4, 9]))
    assert np.array_equal(sums, [[3, 4], [6, 8]])


def test_sums_by_face_are_those_of_adding_one_image_after_another():
    rng = np.random.default_rng(4)
    faces, values = rng.integers(0, 6, size=90), rng.normal(size=(90, 2, 3))
    plain = np.zeros((6, 2, 3))
    np.add.at(plain, faces, values)
    assert np.array_equal(sums_by_face(values, faces), plain)
    assert sums_by_face(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)).shape == (0, 3)


def test_means_of_columns_are_those_of_one_column_after_another():
    """The third column has no value, as of an attribute without a unit."""
    rng = np.random.default_rng(5)
    faces, values = rng.integers(0, 6, size=90), rng.normal(size=(90, 4))
    values[:, 2] = np.nan
    found = Bootstrap(100).means(values, faces)
    assert len(found) == 4
    for column, estimate in enumerate(found):
        sums, sizes = sums_by_face(values[:, column], faces), sums_by_face(np.ones(90), faces)
        counts, value = Bootstrap(100).counts(6), sums.sum() / sizes.sum()
        low, high = Bootstrap(100).interval(value, (counts @ sums) / (counts @ sizes), 6)
        assert (estimate.n_faces, estimate.n_images) == (6, 90)
        assert estimate.value == pytest.approx(value, rel=1e-12, nan_ok=True)
        if column == 2:
            assert (estimate.low, estimate.high) == (low, high) == (None, None)
        else:
            assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=1e-12)
    assert [e.n_faces for e in Bootstrap(10).means(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))] == [0, 0]


def test_equal_values_have_an_interval_of_no_width():
    estimate = Bootstrap(100).mean(np.full(12, 0.25), np.repeat(np.arange(4), 3))
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)
    assert (estimate.n_faces, estimate.n_images) == (4, 12)


def test_mean_agrees_with_resampling_by_hand():
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 5, size=40)
    values = rng.normal(size=40)
    bootstrap = Bootstrap(64, 0.9)
    drawn = []
    for counts in bootstrap.counts(len(np.unique(faces))):
        images = [
            values[faces == face]
            for face, count in zip(np.unique(faces), counts, strict=True)
            for _ in range(int(count))
        ]
        drawn.append(np.concatenate(images).mean())
    estimate = bootstrap.mean(values, faces)
    assert estimate.value == pytest.approx(values.mean())
    ends = np.quantile(drawn, [0.05, 0.95])
    widened = values.mean() + (ends - values.mean()) * t.ppf(0.95, 4) / norm.ppf(0.95) * np.sqrt(5 / 4)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(widened))


def test_dependent_images_widen_the_interval():
    """Forty copies of ten faces tell no more than the ten faces."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=10)
    alone = Bootstrap(2000).mean(values, np.arange(10))
    copied = Bootstrap(2000).mean(np.repeat(values, 40), np.repeat(np.arange(10), 40))
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low)


@pytest.mark.parametrize(("faces", "least"), [(3, 0.92), (4, 0.92), (8, 0.93), (32, 0.93)])
def test_interval_covers_the_truth_about_as_often_as_it_says(faces: int, least: float):
    """1,000 sets of faces at once; percentiles alone cover .75, .79, .88 and .94 of them."""
    means, bootstrap = np.random.default_rng(2).normal(size=(1000, faces)), Bootstrap(400)
    low, high = bootstrap.ends(means.mean(axis=1), bootstrap.counts(faces) @ means.T / faces, faces)
    assert least < ((low <= 0) & (high >= 0)).mean() < 0.97
    one = bootstrap.mean(means[0], np.arange(faces))
    assert (one.low, one.high) == pytest.approx((low[0], high[0]))


@pytest.mark.parametrize(("faces", "least"), [(4, 0.86), (8, 0.88), (16, 0.90)])
def test_interval_covers_the_mean_of_skewed_faces(faces: int, least: float):
    """Percentiles alone cover .75, .85 and .89."""
    means, bootstrap = np.random.default_rng(2).exponential(size=(1000, faces)), Bootstrap(400)
    low, high = bootstrap.ends(means.mean(axis=1), bootstrap.counts(faces) @ means.T / faces, faces)
    assert least < ((low <= 1) & (high >= 1)).mean() < 0.97


def test_no_image_is_no_number():
    estimate = Bootstrap(10).mean(np.zeros(0), np.zeros(0, dtype=np.int64))
    assert np.isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.n_faces) == (None, None, 0)


def test_resamples_without_a_value_are_left_out():
    bootstrap = Bootstrap(4)
    assert bootstrap.interval(1.0, np.array([1.0, 1.0, np.nan, 1.0]), 5) == (1.0, 1.0)
    assert bootstrap.interval(1.0, np.array([1.0, np.nan, np.nan, np.nan]), 5) == (None, None)
    assert bootstrap.interval(float("nan"), np.ones(4), 5) == (None, None)


def test_one_face_says_nothing_of_others():
    estimate = Bootstrap(50).mean(np.array([0.2, 0.4]), np.array([7, 7]))
    assert estimate.value == pytest.approx(0.3) and (estimate.low, estimate.high) == (None, None)


def test_an_interval_holds_its_value_even_where_the_resamples_do_not():
    assert Bootstrap(5).interval(2.0, np.array([3.0, 3.5, 4.0]), 50)[0] == 2.0
    assert Bootstrap(5).interval(2.0, np.array([1.0, 0.5, 0.8]), 50)[1] == 2.0


def test_centred_interval_lies_around_the_value():
    low, high = Bootstrap(5).centred_interval(10.0, 100.0 + np.arange(-50.0, 51.0), 10**6)
    assert (low, high) == pytest.approx((10 - 47.5, 10 + 47.5), rel=1e-4)
    few = Bootstrap(5).centred_interval(10.0, 100.0 + np.arange(-50.0, 51.0), 4)
    factor = t.ppf(0.975, 3) / norm.ppf(0.975) * np.sqrt(4 / 3)
    assert few == pytest.approx((10 - 47.5 * factor, 10 + 47.5 * factor))


def test_paired_difference_is_sharper_than_two_intervals():
    """Two methods that differ by a constant on faces that differ much."""
    rng = np.random.default_rng(3)
    values, faces = rng.normal(scale=5, size=60), np.repeat(np.arange(20), 3)
    difference = Bootstrap(300).difference(values + 0.1, faces, values, faces)
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.1, 0.1, 0.1))


def test_paired_difference_takes_common_faces_alone():
    difference = Bootstrap(20).difference(
        np.array([1.0, 100.0]), np.array([0, 7]), np.array([3.0, -100.0]), np.array([0, 8])
    )
    assert (difference.value, difference.n_faces, difference.n_images) == (-2.0, 1, 2)
    assert np.isnan(Bootstrap(5).difference(np.ones(1), np.array([1]), np.ones(1), np.array([2])).value)


def test_median_of_repetitions():
    estimate = Bootstrap(500).median(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    assert estimate.value == 3.0
    assert 1.0 <= estimate.low <= 3.0 <= estimate.high <= 100.0
    assert estimate.n_images == 5


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.floats(-10, 10))
def test_a_constant_shifts_value_and_interval(values, constant):
    faces = np.arange(len(values))
    plain = Bootstrap(50).mean(np.array(values), faces)
    shifted = Bootstrap(50).mean(np.array(values) + constant, faces)
    assert (shifted.value, shifted.low, shifted.high) == pytest.approx(
        (plain.value + constant, plain.low + constant, plain.high + constant), abs=1e-8
    )
