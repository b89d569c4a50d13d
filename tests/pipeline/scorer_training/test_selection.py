from __future__ import annotations

import numpy as np

from pipeline.scorer_training.generated.selection import LEAST, choose

RARE = 7  # the number of a code that says whether a face has the value


def codes(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 32)).astype(np.float32)


def test_rare_values_are_enriched_in_both_groups_and_a_third_is_random() -> None:
    known, candidates = codes(1, 400), codes(2, 4000)
    groups = np.arange(len(candidates)) % 2
    answers = {"rare": known[:, RARE] > 1.6, "none": np.zeros(len(known), bool)}
    chosen, brought = choose(known, answers, candidates, groups, 60, seed=3)
    assert len(np.unique(chosen)) == 60 and (np.diff(chosen) > 0).all()
    assert brought == {"rare": 40, "random": 20}, "a value without examples has no probe"
    is_rare = candidates[:, RARE] > 1.6
    assert is_rare.mean() < 0.07 and is_rare[chosen].mean() > 0.4
    assert 20 <= groups[chosen].sum() <= 40


def test_the_same_seed_gives_the_same_faces() -> None:
    known, candidates, groups = codes(1, 50), codes(2, 300), np.zeros(300)
    answers = {"some": known[:, RARE] > 1, "few": np.arange(50) < LEAST - 1}
    first, second = (choose(known, answers, candidates, groups, 30, seed=4)[0] for _ in range(2))
    other, brought = choose(known, answers, candidates, groups, 30, seed=5)
    assert np.array_equal(first, second) and not np.array_equal(first, other) and set(brought) == {"some", "random"}
