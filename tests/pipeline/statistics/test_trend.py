"""Kendall's test against every order of the values, and against scipy's."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kendalltau, theilslopes

from pipeline.statistics.trend import trend


def pairs(values: tuple[float, ...]) -> int:
    return sum(np.sign(b - a) for place, a in enumerate(values) for b in values[place + 1 :])


@pytest.mark.parametrize("values", [(1, 2, 3, 4, 5), (2, 1, 1, 3, 3, 3), (0, 0, 0, 1, 1), (5, 1, 4, 2, 3), (1, 1, 1)])
def test_p_is_the_share_of_orders_that_are_as_extreme(values: tuple[int, ...]) -> None:
    orders = list(permutations(values))
    expected = sum(abs(pairs(order)) >= abs(pairs(values)) for order in orders) / len(orders)
    found = trend(np.array(values, float))
    assert found.p == pytest.approx(expected) and found.pairs == pairs(values)


def test_it_agrees_with_scipy_without_ties() -> None:
    values = np.random.default_rng(3).normal(size=25) + 0.05 * np.arange(25)
    expected = kendalltau(np.arange(25), values, method="exact")
    found = trend(values)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9) and found.p < 0.5
    assert found.slope == pytest.approx(theilslopes(values).slope)


def test_thirty_rising_values_are_one_order_of_all() -> None:
    found = trend(np.arange(30.0))
    assert 0 < found.p < 1e-30 and found.slope == 1 and found.pairs == 435


def test_a_series_that_falls_is_the_mirror_of_one_that_rises() -> None:
    values = np.array([1.0, 1.0, 3.0, 2.0, 4.0, 4.0])
    assert trend(values[::-1]).p == trend(values).p and trend(values[::-1]).slope == -trend(values).slope
