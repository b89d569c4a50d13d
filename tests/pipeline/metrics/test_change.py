from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.metrics.change import change, monotonicity
from tests.pipeline.metrics.sets import edit_set


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
    values = np.random.default_rng(0).integers(0, 4, size=(12, 7)).astype(float)
    edits = edit_set(steps=7, edited_value=values.ravel())
    expected = np.mean([spearmanr(np.arange(7), row).statistic for row in values])
    assert monotonicity(edits)[0].estimate.value == pytest.approx(expected)
