"""Differences on the same faces, against slow references and simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, ttest_rel

from pipeline.statistics.bootstrap import Bootstrap
from pipeline.statistics.differences import FaceSums, holm, paired, unpaired


def of_faces(values: np.ndarray) -> FaceSums:
    """One image per face: values (R, F)."""
    return FaceSums(np.asarray(values, dtype=np.float64), np.ones(np.shape(values)))


def drawn(rows: int, faces: int, seed: int) -> tuple[FaceSums, FaceSums]:
    """Two sets of means over faces with different numbers of images."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, size=(2, rows, faces)).astype(float)
    sums = rng.normal(size=(2, rows, faces)) * sizes
    return FaceSums(sums[0], sizes[0]), FaceSums(sums[1], sizes[1])


def test_values_and_intervals_are_those_of_the_difference_of_two_sets_of_images() -> None:
    first, second = drawn(3, 8, seed=1)
    bootstrap = Bootstrap(300, 0.9, seed=4)
    found = paired(bootstrap, first, second)
    for row in range(3):
        images = []
        for means in (first, second):
            sizes = means.sizes[row].astype(int)
            images += [np.repeat(means.sums[row] / sizes, sizes), np.repeat(np.arange(8), sizes)]
        one = bootstrap.difference(*images)
        assert (found.value[row], found.low[row], found.high[row]) == pytest.approx((one.value, one.low, one.high))
        assert found.n_faces[row] == one.n_faces == 8


def slow_p(bootstrap: Bootstrap, first: FaceSums, second: FaceSums) -> float:
    """The test of one difference, resample by resample."""
    number = first.sums.shape[1]

    def mean(sums: np.ndarray, sizes: np.ndarray, counts: np.ndarray) -> float:
        return float((counts * sums).sum() / (counts * sizes).sum())

    def part(means: FaceSums) -> np.ndarray:
        return (means.sums[0] - means.means()[0] * means.sizes[0]) / means.sizes[0].mean()

    once = np.ones(number)
    value = mean(first.sums[0], first.sizes[0], once) - mean(second.sums[0], second.sizes[0], once)
    parts = part(first) - part(second)
    error = parts.std() / np.sqrt(number)
    as_far = 0
    for counts in bootstrap.counts(number):
        again = mean(first.sums[0], first.sizes[0], counts) - mean(second.sums[0], second.sizes[0], counts)
        spread = np.repeat(parts, counts.astype(int)).std() / np.sqrt(number)
        as_far += spread == 0 or abs(again - value) / spread >= abs(value) / error
    return max((1 + as_far) / (1 + bootstrap.samples), 2.0 ** (1 - number))


@pytest.mark.parametrize("seed", range(4))
def test_p_agrees_with_one_resample_after_the_other(seed: int) -> None:
    first, second = drawn(1, 7, seed)
    bootstrap = Bootstrap(400, seed=seed)
    assert paired(bootstrap, first, second).p[0] == pytest.approx(slow_p(bootstrap, first, second), abs=1e-9)


def test_p_is_near_that_of_a_t_test_where_that_one_is_right() -> None:
    rng = np.random.default_rng(3)
    faces = rng.normal(size=(12, 50)) + np.linspace(0, 0.6, 12)[:, None]
    p = paired(Bootstrap(20_000), of_faces(faces), of_faces(np.zeros((12, 50)))).p
    expected = ttest_rel(faces.T, np.zeros((50, 12))).pvalue
    assert np.allclose(p, expected, atol=0.02)


def test_two_means_that_do_not_differ_are_told_apart_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.gamma(2.0, size=(600, 20)), rng.gamma(2.0, size=(600, 20))
    p = paired(Bootstrap(999), of_faces(first), of_faces(second)).p
    assert 0.025 < (p <= 0.05).mean() < 0.08


def test_a_constant_difference_is_sure_as_far_as_the_number_of_faces_allows() -> None:
    values = np.random.default_rng(1).normal(scale=5, size=(1, 6))
    few = paired(Bootstrap(999), of_faces(values + 0.5), of_faces(values))
    assert few.value[0] == pytest.approx(0.5) and few.low[0] == pytest.approx(0.5) == few.high[0]
    assert few.p[0] == 2.0**-5, "six signs that agree"
    many = np.random.default_rng(1).normal(scale=5, size=(1, 40))
    assert paired(Bootstrap(999), of_faces(many + 0.5), of_faces(many)).p[0] == 1 / 1000


def test_the_same_means_differ_by_nothing() -> None:
    first, _ = drawn(5, 9, seed=2)
    found = paired(Bootstrap(200), first, first)
    assert (found.value == 0).all() and (found.low == 0).all() and (found.high == 0).all() and (found.p == 1).all()


def test_what_a_judge_s_last_digits_make_is_no_difference() -> None:
    """Every face says the same, and even so no test may call it a difference."""
    values = np.full((2, 12), 0.2)
    shifted = of_faces(values + np.array([[4e-6], [4e-3]]))
    found = paired(Bootstrap(999), shifted, of_faces(values), np.array([1e-5, 1e-5]))
    assert found.p.tolist() == [1.0, 1 / 1000]
    assert paired(Bootstrap(999), shifted, of_faces(values)).p.tolist() == [1 / 1000, 1 / 1000]


def test_only_common_faces_count_and_one_of_them_is_no_test() -> None:
    first = FaceSums(np.array([[1.0, 100.0, 0.0], [1.0, 5.0, 0.0]]), np.array([[1.0, 1, 0], [1, 1, 0]]))
    second = FaceSums(np.array([[3.0, 0.0, 9.0], [0.0, 0.0, 7.0]]), np.array([[1.0, 0, 1], [0, 0, 1]]))
    found = paired(Bootstrap(50), first, second)
    assert found.n_faces.tolist() == [1, 0]
    assert found.value[0] == -2.0 and np.isnan(found.value[1])
    assert np.isnan(found.p).all() and np.isnan(found.low).all()


def test_many_differences_are_tested_as_one_by_one() -> None:
    first, second = drawn(7, 6, seed=8)
    first.sizes[2:4, 1] = 0
    first.sums[2:4, 1] = 0
    bootstrap = Bootstrap(200)
    every = paired(bootstrap, first, second)
    for row in range(7):
        alone = paired(bootstrap, first[np.array([row])], second[np.array([row])])
        assert (alone.value[0], alone.low[0], alone.high[0], alone.p[0]) == pytest.approx(
            (every.value[row], every.low[row], every.high[row], every.p[row])
        )


def test_independent_estimates_of_normal_values_give_the_normal_test() -> None:
    z = norm.ppf(0.975)
    ends = [(np.array([v]), np.array([v - z * s]), np.array([v + z * s])) for v, s in ((1.0, 0.3), (0.0, 0.4))]
    found = unpaired(*ends)
    assert (found.low[0], found.high[0]) == pytest.approx((1 - z * 0.5, 1 + z * 0.5))
    assert found.p[0] == pytest.approx(2 * norm.sf(2.0))
    assert unpaired(ends[0], ends[0]).p[0] == 1.0
    assert np.isnan(unpaired(ends[0], (ends[1][0], np.array([np.nan]), np.array([np.nan]))).p[0])


def step_down(p: list[float]) -> list[float]:
    """Holm's procedure as he tells it: which hypotheses fall at each level? The least level that fells."""
    adjusted = [1.0] * len(p)
    order = sorted(range(len(p)), key=lambda place: p[place])
    for place in range(len(p)):
        levels = sorted({min(1.0, p[one] * (len(p) - rank)) for rank, one in enumerate(order)})
        for level in levels:
            fallen = set()
            for rank, one in enumerate(order):
                if p[one] * (len(p) - rank) > level * (1 + 1e-12):
                    break
                fallen.add(one)
            if place in fallen:
                adjusted[place] = level
                break
    return adjusted


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12))
def test_holm_is_the_step_down_procedure(p: list[float]) -> None:
    assert holm(np.array(p)) == pytest.approx(step_down(p), rel=1e-9)


def test_holm_of_known_values() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.01, np.nan, 0.02]))[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_the_chance_of_one_false_claim_in_a_family_is_at_most_the_level() -> None:
    """Eight methods that do not differ, 28 pairs, 150 times: at most 5 % of the families hold a significant pair."""
    rng = np.random.default_rng(6)
    pairs = np.array([(i, j) for i in range(8) for j in range(i)])
    values = rng.normal(size=(150, 1, 25)) + rng.normal(size=(150, 8, 25))
    first, second = (of_faces(values[:, pairs[:, side]].reshape(-1, 25)) for side in (0, 1))
    p = paired(Bootstrap(1999), first, second).p.reshape(150, len(pairs))
    wrong = sum((holm(family) <= 0.05).any() for family in p)
    assert wrong <= 0.05 * 150 + 2 * np.sqrt(0.05 * 0.95 * 150)
