"""Which attributes' logits have a standard deviation that is a unit, on planted ones; and where labels are cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.attributes import NAMES, index_of
from pipeline.statistics.units import LARGEST_LOGIT, LOGIT_NOISE, Units, label_cuts, logits_of

IMAGES = 1000


def planted(**columns: np.ndarray) -> np.ndarray:
    """Logits (N, 35) of spread 2 about -1, with these columns in place of an attribute's."""
    logits = np.random.default_rng(3).normal(-1.0, 2.0, size=(IMAGES, len(NAMES)))
    for name, column in columns.items():
        logits[:, index_of(name)] = column
    return logits.clip(-LARGEST_LOGIT, LARGEST_LOGIT).astype(np.float32)


def mostly_cut(share: float, others: float) -> np.ndarray:
    """Cut at the low end, but for a share of the images, whose logits are `others`."""
    column = np.full(IMAGES, -LARGEST_LOGIT)
    column[: round(share * IMAGES)] = others
    return column


def usable(name: str, column: np.ndarray) -> bool:
    units = Units.of(planted(**{name: column}))
    assert units.usable.sum() >= len(NAMES) - 1, "the others vary"
    assert np.isnan(units.deviations[index_of(name)]) != units.usable[index_of(name)]
    return bool(units.usable[index_of(name)])


def test_a_logit_that_is_cut_on_most_images_and_moved_by_a_few_is_no_unit() -> None:
    """As scorer B's eye_occluded: sigma .097, so that the whole scale is 144 of them."""
    column = mostly_cut(0.03, -6.4)
    assert 14 / column.std() > 100
    assert not usable("eye_occluded", column)
    assert not usable("eye_occluded", -column), "nor one that is cut at the other end"
    assert not usable("eye_occluded", mostly_cut(0.004, 7.0)), "four images in a thousand show it whole"


def test_what_some_images_have_and_most_have_not_is_a_unit() -> None:
    assert usable("glasses", mostly_cut(0.2, 7.0))
    assert usable("sunglasses", mostly_cut(0.02, 7.0))


def test_a_narrow_logit_that_is_not_cut_is_a_unit_unless_it_does_not_vary() -> None:
    drawn = np.random.default_rng(5).normal(size=IMAGES)
    assert usable("roll", 0.16 * drawn)
    assert not usable("roll", 0.01 * drawn)
    assert not usable("roll", np.zeros(IMAGES))


def test_units_are_those_of_the_loop() -> None:
    logits = planted(beard=mostly_cut(0.4, 1.0))
    units = Units.of(logits)
    column = logits[:, index_of("beard")].astype(float)
    assert units.sigma[index_of("beard")] == pytest.approx(column.std()) and units.n_images == IMAGES
    assert units.cut[index_of("beard")] == pytest.approx(0.6)


def test_labels_are_cut_at_the_median_where_the_median_is_a_value() -> None:
    logits = planted(disgust=mostly_cut(0.07, -2.0), beard=mostly_cut(0.6, -3.0))
    cuts = label_cuts(logits)
    assert cuts[index_of("age")] == pytest.approx(np.median(logits[:, index_of("age")]))
    assert cuts[index_of("glasses")] == 0.0, "a binary attribute"
    assert cuts[index_of("beard")] == -3.0
    assert cuts[index_of("disgust")] == 0.0, "at the cut a label would be a scorer's noise"


def test_logits_are_cut() -> None:
    values = torch.tensor([0.0, 1e-5, 0.5, 0.9, 1.0])
    assert logits_of(values).tolist() == pytest.approx([-7, -7, 0, np.log(9), 7])
    assert LOGIT_NOISE < 0.02
