"""What the controls must score, on scores that keep it and scores that do not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from pipeline.attributes import EVALUATED
from pipeline.report.controls import LEVEL, broken, control_checks, flipped_signs
from tests.builders import random_scores
from tests.builders.random_scores import score


def changes(values: dict[str, np.ndarray]) -> pd.DataFrame:
    rows = [
        score(method, attribute, "attribute_change", float(value), better="higher", network="scorer_b")
        for method, own in values.items()
        for attribute, value in zip(EVALUATED, own, strict=False)
    ]
    return pd.DataFrame(rows)


def test_a_noop_without_effect_holds_and_one_with_an_effect_does_not() -> None:
    scores = pd.DataFrame(random_scores.score_rows("noop"))
    assert [check.holds for check in control_checks(scores)] == [True]
    for metric, value in (("identity_distance", 0.01), ("ssim", 0.99), ("attribute_change", -0.01)):
        wrong = scores.copy()
        wrong.loc[wrong.index[(wrong["metric"] == metric) & (wrong["attribute"] == "age")][0], "value"] = value
        checks = control_checks(wrong)
        assert [check.holds for check in checks] == [False]
        assert metric.replace("_", " ") in broken(checks)[0] and "age" in broken(checks)[0]


def test_float_error_is_none() -> None:
    rows = [score("noop", "age", "identity_distance", 1e-6), score("noop", "age", "ssim", 0.999999)]
    assert control_checks(pd.DataFrame(rows))[0].holds


def test_shuffled_labels_that_work_as_well_as_true_ones_are_found() -> None:
    rng = np.random.default_rng(0)
    random, true = rng.normal(0, 0.1, 8), np.full(8, 0.4)
    works = control_checks(changes({"interfacegan": true, "interfacegan_shuffled": true, "random": random}))
    assert works[0].holds is False and "interfacegan +0.400" in works[0].found
    fails = control_checks(
        changes({"interfacegan": true, "interfacegan_shuffled": rng.normal(0, 0.1, 8), "random": random})
    )
    assert fails[0].holds is True


def test_shuffled_labels_that_teach_nothing_are_suspected_as_rarely_as_said() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(2000, 8)) - rng.normal(size=(2000, 8))
    suspected = np.mean([flipped_signs(one) <= LEVEL for one in drawn])
    assert suspected <= LEVEL + 3 * np.sqrt(LEVEL / 2000)


def test_few_attributes_cannot_tell() -> None:
    check = control_checks(changes({"interfacegan_shuffled": np.ones(6), "random": np.zeros(6)}))[0]
    assert check.holds is None and "6 attributes" in check.found


def test_a_run_without_controls_has_no_checks() -> None:
    assert control_checks(pd.DataFrame(random_scores.score_rows("l2l"))) == []


@pytest.mark.parametrize("seed", range(3))
def test_flipped_signs_are_counted_one_by_one(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.3, 1, 6)
    found = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in product((1, -1), repeat=6)]
    expected = np.mean([total >= differences.sum() - 1e-9 for total in found])
    assert flipped_signs(differences) == pytest.approx(expected)
    assert flipped_signs(np.ones(8)) == 1 / 256
