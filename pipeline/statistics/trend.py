"""Whether a series rises or falls: Kendall's test of trend, exact with ties too.

Mann, "Nonparametric Tests Against Trend", Econometrica 1945: S is the number of pairs in which the later value is the
larger, minus the number in which it is the smaller. Where nothing but chance orders the values, every order of them is
as likely. Then the number of pairs in falling order has the distribution of inversions of a multiset, whose generating
function is the q-multinomial coefficient (MacMahon 1915). So p is exact for any number of equal values, with no
assumption on how the values scatter. Sen's slope (JASA 1968) is the median of the slopes of all pairs.

Five values that rise: one order of 120, and the one that falls, are as extreme.

>>> import numpy as np
>>> from pipeline.statistics.trend import trend
>>> trend(np.array([1.0, 2.0, 4.0, 7.0, 8.0]))
Trend(pairs=10, slope=2.0, p=0.016666666666666666)
>>> trend(np.array([3.0, 3.0, 3.0, 3.0])).p
1.0
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Trend:
    """pairs: rising minus falling ones. slope: median of all pairs, in units of the values per step. p: two-sided."""

    pairs: int
    slope: float
    p: float


def trend(values: np.ndarray) -> Trend:
    """Kendall's test of a series of N >= 2 finite values in their order."""
    first, second = _places(len(values))
    rises = values[second] - values[first]
    pairs = int(np.sign(rises).sum())
    ties = tuple(sorted(Counter(values.tolist()).values()))
    return Trend(pairs, float(np.median(rises / (second - first))), _p(ties, abs(pairs)))


@lru_cache(maxsize=128)
def _places(number: int) -> tuple[np.ndarray, np.ndarray]:
    """The earlier and the later place of every pair."""
    first, second = np.triu_indices(number, 1)
    return first, second


@lru_cache(maxsize=2**16)
def _p(ties: tuple[int, ...], pairs: int) -> float:
    """The share of the orders of a multiset in which rising and falling pairs differ by at least so many."""
    counts = _inversions(ties)
    most = len(counts) - 1
    return sum(count for number, count in enumerate(counts) if abs(most - 2 * number) >= pairs) / sum(counts)


@lru_cache(maxsize=1024)
def _inversions(ties: tuple[int, ...]) -> list[int]:
    """By number of inversions, how many orders of a multiset have so many; `ties`: how often each value occurs."""
    size = sum(ties)
    most = (size**2 - sum(count**2 for count in ties)) // 2
    counts = [1, *[0] * most]
    for factor in range(1, size + 1):  # the factors 1 - q^i of the q-factorials, above the line and below it
        power = 1 - sum(count >= factor for count in ties)
        for _ in range(power):
            for number in range(most, factor - 1, -1):
                counts[number] -= counts[number - factor]
        for _ in range(-power):
            for number in range(factor, most + 1):
                counts[number] += counts[number - factor]
    return counts
