"""The distance of false accepts against the plain quantile of all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics import false_accepts
from pipeline.statistics.false_accepts import acceptance_distance


def persons_of(count: int) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("count", [2, 3, 7, 60])
def test_the_quantile_of_all_pairs(monkeypatch: pytest.MonkeyPatch, count: int, rate: float) -> None:
    """Whatever the blocks: the last one of 7 rows by threes has one row, and so no pair."""
    persons = persons_of(count)
    cosine = persons.astype(np.float64) @ persons.astype(np.float64).T
    plain = np.quantile(1 - cosine[np.triu_indices(count, 1)], rate)
    for rows in (3, 256):
        monkeypatch.setattr(false_accepts, "ROWS", rows)
        assert acceptance_distance(persons, rate) == pytest.approx(plain, abs=1e-12)


def test_a_tenth_of_the_pairs_is_nearer() -> None:
    persons = persons_of(60)
    pairs = np.array([1 - float(persons[i] @ persons[j]) for i in range(60) for j in range(i)])
    assert (pairs <= acceptance_distance(persons, 0.1)).mean() == pytest.approx(0.1, abs=0.002)
