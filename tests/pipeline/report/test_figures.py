"""What the plots show, from edits whose answers are known."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.report import figures
from pipeline.report.contents import contents_of
from tests.builders import random_run


@pytest.fixture(scope="module")
def plots() -> list[figures.Plot]:
    return figures.plots(contents_of(random_run.tables()))


def test_change_is_that_of_the_edited_attribute_since_the_start() -> None:
    edits = random_run.edits().to_pandas()
    row = edits[(edits["attribute"] == "expression") & (edits["method"] == "l2l")].iloc[4]
    change = figures.attribute_change(edits)
    assert change[row.name] == pytest.approx(float(row["value_smile"]) - float(row["start_value"]), abs=1e-6)
    assert np.abs(change[edits["method"] == "noop"]).max() < 1e-6


def test_step_means_leave_out_images_without_a_face() -> None:
    edits = random_run.edits(("l2l",)).to_pandas()
    edits["identity_mtcnn"] = np.where(edits["face_id"] == 256000, 1.0, 0.25)
    edits["detected"] = edits["face_id"] != 256000
    means = figures.step_means(edits, "identity_mtcnn")
    assert len(means) == 8 * 5
    assert np.allclose(means["identity"], 0.25)
    assert np.allclose(means["detected"], 5 / 6)


def test_ranges_end_at_the_mean_displacement_of_their_outer_steps() -> None:
    ends = figures.range_ends(contents_of(random_run.tables()))
    found = ends[ends["method"] == "l2l"]
    assert np.allclose(found["low_moved"], 0.9) and np.allclose(found["high_moved"], 0.9)


def test_every_plot_is_svg_of_its_own_ids_without_an_address(plots: list[figures.Plot]) -> None:
    assert [plot.key for plot in plots] == ["curve-identity-recognizer-b", "curve-identity-mtcnn", "ranges", "detected"]
    ids: list[str] = []
    for plot in plots:
        ElementTree.fromstring(plot.svg)
        assert "http" not in plot.svg and "xlink" not in plot.svg and figures.INK not in plot.svg
        own = re.findall(r'\bid="([^"]+)"', plot.svg)
        for target in re.findall(r'(?:url\(#|href="#)([^")]+)', plot.svg):
            assert target in own
        ids += own
    assert len(ids) == len(set(ids))


def test_plots_are_the_same_from_the_same_edits(plots: list[figures.Plot]) -> None:
    again = figures.ranges_plot(contents_of(random_run.tables()))
    assert again.svg == plots[2].svg


def test_a_method_keeps_its_colour_and_controls_are_grey() -> None:
    shades = figures.colours(contents_of(random_run.tables()))
    assert list(shades) == list(random_run.METHODS)
    assert shades["noop"] in figures.GREYS and shades["l2l"] == figures.PALETTE[1]


def test_a_run_without_edits_has_no_plots() -> None:
    empty = random_run.edits().slice(0, 0)
    assert figures.plots(contents_of({**random_run.tables(), "edits": empty})) == []


def test_a_name_is_never_a_formula() -> None:
    assert figures.plain("_a$b$") == r"a\$b\$"
