"""Means over faces along the ranges, from edits whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.report.contents import contents_of
from pipeline.report.edit_means import attribute_change, range_ends, step_means
from tests.builders import random_edits, random_run


def test_change_is_that_of_the_edited_attribute_since_the_start() -> None:
    edits = random_edits.edits().to_pandas()
    row = edits[(edits["attribute"] == "expression") & (edits["method"] == "l2l")].iloc[4]
    change = attribute_change(edits)
    assert change[row.name] == pytest.approx(float(row["value_smile"]) - float(row["start_value"]), abs=1e-6)
    assert np.abs(change[edits["method"] == "noop"]).max() < 1e-6


def test_step_means_leave_out_images_without_a_face() -> None:
    edits = random_edits.edits(("l2l",)).to_pandas()
    edits["identity_mtcnn"] = np.where(edits["face_id"] == 256000, 1.0, 0.25)
    edits["detected"] = edits["face_id"] != 256000
    means = step_means(edits, ["identity_mtcnn"])
    assert len(means) == 8 * 5
    assert np.allclose(means["identity_mtcnn"], 0.25)
    assert np.allclose(means["detected"], 5 / 6)


def test_ranges_end_at_the_mean_displacement_of_their_outer_steps() -> None:
    ends = range_ends(contents_of(random_run.tables()))
    of_l2l = ends[ends["method"] == "l2l"]
    assert len(of_l2l) and np.allclose(of_l2l["low_moved"], 0.9) and np.allclose(of_l2l["high_moved"], 0.9)
