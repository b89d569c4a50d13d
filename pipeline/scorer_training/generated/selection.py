"""Which further faces to look at, so that rare values occur: by their codes, before any is rendered.

For every rare value a logistic regression on w is fitted to the faces that were looked at so far. Of many candidates,
those with the highest probability are chosen, half of them at each truncation; a third of all is drawn at random. A
chosen face is then labelled like any other, by looking: the probability decides what is looked at, and is no label.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

RANDOM_SHARE = 1 / 3
STRENGTH = 1e-3  # inverse of the ridge: with few positives among 512 numbers, a small one ranks best
LEAST = 3  # positives without which a value has no probe


def probabilities(known: np.ndarray, answers: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Probability (M,) of a value for the codes `candidates` (M, 512), from `answers` (N,) bool of `known` (N, 512)."""
    scale = StandardScaler().fit(known)
    probe = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    probe.fit(scale.transform(known), answers)
    return np.asarray(probe.predict_proba(scale.transform(candidates))[:, 1])


def choose(
    known: np.ndarray,
    answers: Mapping[str, np.ndarray],
    candidates: np.ndarray,
    groups: np.ndarray,
    count: int,
    seed: int,
) -> tuple[np.ndarray, dict[str, int]]:
    """Rows of `candidates` (M, 512) to look at, ascending, and how many of them each value brought.

    `answers`: value -> (N,) bool over the faces with the codes `known` (N, 512). Values with fewer than LEAST positives
    are passed over; the places are shared out evenly over the others. `groups` (M,) is the truncation of a candidate:
    each group gives as many. What is left of `count` is random, RANDOM_SHARE at least.
    """
    probed = [value for value, answer in answers.items() if LEAST <= answer.sum() <= len(answer) - LEAST]
    chosen: set[int] = set()
    brought: dict[str, int] = {}
    kinds = np.unique(groups)
    each = int(count * (1 - RANDOM_SHARE) / max(len(probed), 1) / len(kinds))
    for value in probed:
        order = np.argsort(-probabilities(known, answers[value], candidates), kind="stable")
        before = len(chosen)
        for kind in kinds:
            chosen.update([int(row) for row in order if groups[row] == kind and int(row) not in chosen][:each])
        brought[value] = len(chosen) - before
    rest = np.setdiff1d(np.arange(len(candidates)), sorted(chosen))
    drawn = np.random.default_rng(seed).choice(rest, count - len(chosen), replace=False)
    brought["random"] = len(drawn)
    return np.sort(np.concatenate([np.array(sorted(chosen), dtype=np.int64), drawn])), brought
