"""Ranks against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from pipeline.statistics.bootstrap import Bootstrap
from pipeline.statistics.differences import FaceSums
from pipeline.statistics.ranks import ends_of_tests, ranked


def of_faces(values: np.ndarray) -> FaceSums:
    return FaceSums(np.asarray(values, dtype=np.float64), np.ones(np.shape(values)))


def test_ranks_and_chances_agree_with_counting() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 9)) + np.array([0.0, 0.1, 0.2, 0.4, 3.0])[:, None]
    bootstrap = Bootstrap(250, 0.9, seed=3)
    found = ranked(bootstrap, of_faces(values), np.ones(5, bool), lower_is_better=True)
    assert found.rank.tolist() == rankdata(values.mean(axis=1), method="min").tolist()
    places = np.array([rankdata((counts * values).sum(axis=1), method="min") for counts in bootstrap.counts(9)])
    for method in range(5):
        ordered = np.sort(places[:, method])
        assert found.low[method] == min(ordered[int(np.ceil(0.05 * 250)) - 1], found.rank[method])
        assert found.high[method] == max(ordered[int(np.ceil(0.95 * 250)) - 1], found.rank[method])
    assert found.first == pytest.approx((places == 1).mean(axis=0))
    assert found.n_faces == 9


def test_higher_may_be_better() -> None:
    values = np.array([[1.0, 1.1], [3.0, 3.1], [2.0, 2.1]])
    assert ranked(Bootstrap(20), of_faces(values), np.ones(3, bool), lower_is_better=False).rank.tolist() == [3, 1, 2]


def test_a_control_takes_its_place_and_pushes_nobody() -> None:
    values = np.repeat([[0.0], [0.3], [0.2], [0.25]], 6, axis=1)
    rivals = np.array([False, True, True, False])
    found = ranked(Bootstrap(30), of_faces(values), rivals, lower_is_better=True)
    assert found.rank.tolist() == [1, 2, 1, 2]
    assert found.first.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert found.low.tolist() == found.high.tolist() == found.rank.tolist()


def test_equal_methods_share_rank_and_first_place() -> None:
    values = np.repeat([[0.2], [0.2], [0.9]], 5, axis=1)
    found = ranked(Bootstrap(30), of_faces(values), np.ones(3, bool), lower_is_better=True)
    assert found.rank.tolist() == [1, 1, 3]
    assert found.first == pytest.approx([0.5, 0.5, 0.0])
    with_control = ranked(Bootstrap(30), of_faces(values), np.array([True, False, True]), lower_is_better=True)
    assert with_control.first == pytest.approx([1.0, 0.5, 0.0])


def test_what_a_judge_s_last_digits_make_is_no_rank() -> None:
    """Two methods that do the same, judged in other batches, and one that is worse."""
    values = 0.2 + np.zeros((3, 6))
    values[1] += np.linspace(1e-6, 9e-6, 6)
    values[2] += 0.1
    found = ranked(Bootstrap(30), of_faces(values), np.ones(3, bool), lower_is_better=True, noise=1e-5)
    assert found.rank.tolist() == [1, 1, 3] == found.low.tolist() and found.high.tolist() == [1, 1, 3]
    assert found.first == pytest.approx([0.5, 0.5, 0.0])
    plain = ranked(Bootstrap(30), of_faces(values), np.ones(3, bool), lower_is_better=True)
    assert plain.rank.tolist() == [1, 2, 3]


def test_the_chances_of_competitors_add_up() -> None:
    values = np.random.default_rng(5).normal(size=(6, 12))
    found = ranked(Bootstrap(300), of_faces(values), np.ones(6, bool), lower_is_better=True)
    assert found.first.sum() == pytest.approx(1.0)
    assert (found.low <= found.rank).all() and (found.rank <= found.high).all()


def test_only_faces_of_all_count_and_a_method_without_any_has_no_rank() -> None:
    sizes = np.array([[1.0, 1, 1], [1, 1, 0], [0, 0, 0]])
    sums = np.array([[1.0, 1, -90], [2, 2, 0], [0, 0, 0]])
    found = ranked(Bootstrap(30), FaceSums(sums, sizes), np.ones(3, bool), lower_is_better=True)
    assert found.rank[:2].tolist() == [1, 2] and np.isnan(found.rank[2]) and found.n_faces == 2
    apart = FaceSums(np.eye(2), np.eye(2))
    assert np.isnan(ranked(Bootstrap(30), apart, np.ones(2, bool), lower_is_better=True).rank).all()


def test_tests_leave_the_ranks_between_those_surely_before_and_behind() -> None:
    significant = np.array([[0, 1, 1, 1], [-1, 0, 0, 1], [-1, 0, 0, 0], [-1, -1, 0, 0]])
    low, high = ends_of_tests(significant, np.ones(4, bool))
    assert low.tolist() == [1, 2, 2, 3] and high.tolist() == [1, 3, 4, 4]
    low, high = ends_of_tests(significant, np.array([True, True, True, False]))
    assert low.tolist() == [1, 2, 2, 3] and high.tolist() == [1, 3, 3, 4]
    assert [end.tolist() for end in ends_of_tests(np.zeros((3, 3)), np.ones(3, bool))] == [[1, 1, 1], [3, 3, 3]]
