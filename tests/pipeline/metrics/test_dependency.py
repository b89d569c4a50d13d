"""Attribute dependency of edits whose side effects are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.attributes import NAMES, index_of
from pipeline.metrics.base import MatchedSet, get
from tests.builders.edit_sets import matched_set

MEAN, MAX = "attribute_dependency_mean", "attribute_dependency_max"


def value(name: str, edits: MatchedSet) -> float:
    (judgement,) = get(name).score(edits)
    assert judgement.role == "scorer_b"
    return judgement.estimate.value


@pytest.mark.parametrize("level", [0.5, 1.0, 2.0])
def test_a_perfect_edit_has_none(level: float) -> None:
    edits = matched_set(level=level)
    assert value(MEAN, edits) == value(MAX, edits) == 0.0


@pytest.mark.parametrize("level", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("share", [1.0, -1.0])
def test_an_attribute_that_goes_along_counts_as_much_as_the_edited_one(level: float, share: float) -> None:
    edits = matched_set(attribute="glasses", level=level, others={"reading_glasses": share})
    assert value(MAX, edits) == pytest.approx(level)
    assert value(MEAN, edits) == pytest.approx(level / 34)


def test_it_is_what_the_double_loop_computes() -> None:
    rng = np.random.default_rng(2)
    edits = replace(matched_set(), changes=rng.normal(size=(24, 35)).astype(np.float32))
    means, largest = [], []
    for image in range(24):
        sizes = [abs(float(edits.changes[image, i])) for i in range(35) if i != index_of("age")]
        means.append(sum(sizes) / len(sizes))
        largest.append(max(sizes))
    assert value(MEAN, edits) == pytest.approx(sum(means) / 24, rel=1e-6)
    assert value(MAX, edits) == pytest.approx(sum(largest) / 24, rel=1e-6)


def test_the_largest_is_that_of_each_image() -> None:
    """Another attribute in every image: the mean over images of the largest, not the largest of means."""
    changes = np.zeros((24, 35), np.float32)
    others = [column for column in range(35) if column != index_of("age")]
    changes[np.arange(24), others[:24]] = 1.0
    assert value(MAX, replace(matched_set(), changes=changes)) == pytest.approx(1.0)


def test_what_does_not_vary_is_left_out() -> None:
    edits = matched_set(others={"beard": 1.0})
    changes = edits.changes.copy()
    changes[:, NAMES.index("headwear")] = np.nan
    assert value(MEAN, replace(edits, changes=changes)) == pytest.approx(1 / 33)


def test_every_edit_counts_against_its_own_attribute() -> None:
    """Over all attributes: each image leaves out the attribute that it edits."""
    edits = matched_set(faces=1, others={"beard": 1.0})
    mixed = replace(edits, targets=np.array([index_of("age"), index_of("beard")]))
    assert value(MAX, mixed) == pytest.approx(1.0), "then age is the side effect of the second"


def test_without_an_edit_there_is_no_score() -> None:
    nothing = matched_set(reached=np.zeros(24, bool))
    assert get(MEAN).score(nothing) == get(MAX).score(nothing) == []
