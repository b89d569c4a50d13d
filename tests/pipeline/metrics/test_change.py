from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.metrics.change import change, monotonicity
from tests.builders.edit_sets import edit_set


def test_an_edit_that_does_nothing_changes_nothing():
    assert change(edit_set())[0].estimate.value == 0.0
    assert monotonicity(edit_set())[0].estimate.value == 0.0


def test_a_perfect_edit_runs_from_zero_to_one():
    edits = edit_set(edited_value=np.tile(np.linspace(0, 1, 5), 12))
    assert change(edits)[0].estimate.value == 1.0
    assert monotonicity(edits)[0].estimate.value == pytest.approx(1.0)
    assert change(edits)[0].estimate.n_images == 12


def test_an_edit_that_goes_backwards_is_negative():
    edits = edit_set(edited_value=np.tile(np.linspace(0.8, 0.2, 5), 12))
    assert change(edits)[0].estimate.value == pytest.approx(-0.6)
    assert monotonicity(edits)[0].estimate.value == pytest.approx(-1.0)


def test_change_is_between_the_ends_whatever_lies_between():
    edits = edit_set(edited_value=np.tile([0.2, 0.9, 0.0, 0.9, 0.5], 12))
    assert change(edits)[0].estimate.value == pytest.approx(0.3)


def test_monotonicity_agrees_with_scipy_ties_included():
    values = np.random.default_rng(0).integers(0, 4, size=(12, 7)) / 3
    edits = edit_set(steps=7, edited_value=values.ravel())
    expected = np.mean([spearmanr(np.arange(7), row).statistic for row in values])
    assert monotonicity(edits)[0].estimate.value == pytest.approx(expected)


def test_a_scorer_s_last_digits_are_no_correlation():
    """What batches of another size make of one image: rising with every step, on every face."""
    nothing = 0.3 + np.tile(np.linspace(0, 1.6e-5, 5), 12)
    assert monotonicity(edit_set(edited_value=nothing))[0].estimate.value == 0.0
    tiny = np.tile(1e-5 * (1 + np.linspace(0, 1e-6, 5)), 12)
    assert monotonicity(edit_set(edited_value=tiny))[0].estimate.value == 0.0
    cut = np.tile(1 - np.linspace(1e-5, 1e-7, 5), 12)
    assert monotonicity(edit_set(edited_value=cut))[0].estimate.value == 0.0, "beyond the cut a logit is noise"


def test_steps_within_the_noise_share_a_rank_and_the_others_keep_theirs():
    values = np.array([0.2, 0.4, 0.4 + 1e-5, 0.6, 0.8])
    shared = spearmanr(np.arange(5), [0.2, 0.4, 0.4, 0.6, 0.8]).statistic
    found = monotonicity(edit_set(edited_value=np.tile(values, 12)))[0].estimate.value
    assert found == pytest.approx(shared) and found < 1
    small = np.tile(0.5 + np.arange(5) * 1e-3, 12)  # steps of .004 in the logit
    assert monotonicity(edit_set(edited_value=small))[0].estimate.value == pytest.approx(1.0)
