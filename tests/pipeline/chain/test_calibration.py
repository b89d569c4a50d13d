"""Calibration finds limits that are known: the detector's, the cap's, a plateau's, and none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from pipeline.attributes import index_of
from pipeline.chain.calibration import rule
from pipeline.chain.calibration import stage as calibration
from pipeline.chain.calibration.rule import Limits, calibrate, shared_limit
from pipeline.chain.inputs import read_range
from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.errors import BusyError, StageError
from pipeline.methods.controls import NoOp
from pipeline.methods.interface import Faces, Method, silent
from pipeline.settings.experiment import Experiment
from pipeline.storage.stages import building, read_manifest
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px16, toy
from tests.worlds.along import Along

ATTRIBUTE = "age"
STOP = math.atanh(math.sqrt(2 / 1.1 - 1))  # tanh(2 s) = 1.1 tanh(s), as tanh(2 s) = 2 t / (1 + t^2)
DIRECTION = toy.DIRECTIONS[index_of(ATTRIBUTE)]


def run(method: Method, detector: toy.Detector, count: int = 20, **changes: Any) -> tuple[dict[str, Any], Tensor]:
    """The row of the table, and the codes."""
    w = toy.draw_w(count, seed=3)
    domain = toy.load(detector=detector)
    faces = Faces(domain.generator.mapping.broadcast(w), toy.values_of(w))
    experiment: Experiment = toy.experiment(**changes)
    return calibrate(domain, method, ATTRIBUTE, 100 + np.arange(count), faces, experiment, silent), w


def finder(lost_beyond: float) -> toy.Detector:
    return toy.Detector(radius=math.inf, direction=DIRECTION, lost_beyond=lost_beyond)


@pytest.mark.parametrize("scale", [1.0, 1000.0, 0.001])
def test_each_face_is_followed_to_where_the_detector_loses_it(scale: float) -> None:
    row, w = run(Along(scale=scale), finder(6.0))
    true = (6.0 - (w @ DIRECTION).double().numpy()) / scale
    found = np.array(row["face_high"])
    assert (found <= true * (1 + 1e-5)).all(), "the face is still found at its limit"
    assert (found >= true * (1 - 2.0**-8) - 1e-4 / scale).all(), "and no more than the last halving below it"
    assert row["high_set_by"] == "detector" and row["low_set_by"] == "cap"
    assert row["face_ids"] == list(range(100, 120)) and row["n_faces"] == 20


def test_the_range_is_the_largest_at_which_enough_faces_are_found() -> None:
    for share, lost in ((1.0, 0), (0.95, 1), (0.5, 10)):
        row, _ = run(Along(), finder(6.0), found_share=share)
        limits = np.sort(row["face_high"])
        assert row["high"] == limits[lost]
        assert (limits >= row["high"]).mean() >= share > (limits > row["high"]).mean()


def test_limits_on_both_sides_agree_with_geometry() -> None:
    row, w = run(Along(), toy.Detector(radius=12.0), displacement_cap=10.0)
    along = (w @ DIRECTION).double().numpy()
    inside = np.sqrt(along**2 + 144.0 - w.double().square().sum(dim=1).numpy())
    assert np.allclose(row["face_high"], inside - along, rtol=2.0**-8, atol=1e-3)
    assert np.allclose(row["face_low"], -inside - along, rtol=2.0**-8, atol=1e-3)
    assert row["low_set_by"] == row["high_set_by"] == "detector"


@pytest.mark.parametrize("scale", [1.0, 300.0, 0.01])
def test_the_cap_bounds_a_method_that_never_loses_the_face(scale: float) -> None:
    row, _ = run(Along(scale=scale), finder(math.inf), displacement_cap=1.5)
    end = 1.5 * toy.MEAN_DISTANCE / scale
    assert row["high"] == pytest.approx(end, rel=1e-4) and row["low"] == pytest.approx(-end, rel=1e-4)
    assert row["low_set_by"] == row["high_set_by"] == "cap" and row["cap"] == 1.5


def test_a_method_that_stops_moving_ends_where_it_has_all_but_stopped() -> None:
    row, _ = run(Along(bound=3.0), finder(math.inf))
    assert row["high"] == pytest.approx(STOP, rel=1e-3)
    assert row["high_set_by"] == row["low_set_by"] == "plateau"


def test_a_shift_without_any_strength_is_not_taken_for_an_effect() -> None:
    row, _ = run(Along(scale=0.0, offset=1.0), finder(math.inf))
    assert (row["low"], row["high"], row["low_set_by"], row["high_set_by"]) == (-1.0, 1.0, "none", "none")
    row, _ = run(Along(bound=3.0, offset=1.0), finder(math.inf))
    assert row["high"] == pytest.approx(STOP, rel=1e-3)


@pytest.mark.parametrize("method", [Along(), Along(bound=3.0), Along(scale=0.0)])
def test_an_exact_method_is_searched_with_fewer_edits_to_the_same_limits(method: Along) -> None:
    quick, _ = run(method, finder(6.0))
    vars(method)["exact_identity"] = False
    slow, _ = run(method, finder(6.0))
    assert quick == slow


def test_the_noop_has_the_range_one_and_costs_no_images() -> None:
    detector = finder(math.inf)
    row, _ = run(NoOp(), detector)
    assert (row["low"], row["high"], row["low_set_by"], row["high_set_by"]) == (-1.0, 1.0, "none", "none")
    assert detector.seen == 20, "the unedited faces alone"


def test_faces_that_are_not_found_unedited_are_left_out() -> None:
    row, w = run(Along(), toy.Detector(radius=8.0))
    usable = (w.norm(dim=1) <= 8.0).numpy()
    assert 0 < usable.sum() < 20
    assert row["face_ids"] == (100 + np.flatnonzero(usable)).tolist()
    assert row["n_faces"] == usable.sum() == len(row["face_low"]) == len(row["face_high"])


def test_the_unedited_face_is_looked_at_not_the_edit_of_zero() -> None:
    detector = toy.Detector(radius=math.inf, direction=toy.IDENTITY[0], lost_beyond=10.0)
    row, _ = run(Along(offset=20.0), detector)
    assert row["n_faces"] == 20 and set(row["face_high"]) == {0.0} and row["high_set_by"] == "detector"


def test_no_face_at_all_is_an_error() -> None:
    with pytest.raises(StageError, match="none of the 20 unedited"):
        run(Along(), toy.Detector(radius=0.1))


def test_each_round_makes_one_image_per_open_face_and_side() -> None:
    detector = toy.Detector(radius=12.0)
    run(Along(), detector, bisections=4)
    most = 20 + 2 * 20 * (len(rule.SHARES) + 4)
    assert detector.seen <= most


def test_batches_of_faces_do_not_change_the_limits() -> None:
    few, _ = run(Along(), finder(6.0), count=5)
    many, _ = run(Along(), finder(6.0), count=150)
    assert np.allclose(few["face_high"], many["face_high"][:5], rtol=1e-5)


def test_shared_limit_says_what_set_it() -> None:
    limits = Limits(np.array([4.0, 1.0, 3.0, 2.0]), ("cap", "detector", "cap", "plateau"))
    assert shared_limit(limits, 1.0) == (1.0, "detector")
    assert shared_limit(limits, 0.95) == (2.0, "plateau"), "one of few faces may be lost"
    assert shared_limit(limits, 0.75) == (2.0, "plateau")
    assert shared_limit(limits, 0.5) == (3.0, "cap")
    assert shared_limit(limits, 0.0) == (4.0, "cap")


def test_ranges_are_published_once_per_attribute_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    settings = px16.scene_settings(tmp_path, methods=("noop", "random"))
    for which in ("train", "faces"):
        compute(settings, "latents", which)
        compute(settings, "labels", which)
    compute(settings, "train", "random")
    one, two = settings.experiment.attributes[:2]
    chain = Chain(settings)
    first = chain.calibrate_all("random", [one])
    both = chain.calibrate_all("random", [one, two])
    assert both[0] == first[0] and [manifest.rows for manifest in both] == [1, 1]
    row = read_range(reading(settings, "range", "random", one), one)
    assert (row["method"], row["attribute"]) == ("random", one) and row["low"] < 0 < row["high"]
    assert read_range(reading(settings, "range", "random", two), two)["attribute"] == two

    stage = stage_of(settings, "range", "random", two)
    (stage.folder(tmp_path) / "manifest.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(calibration, "range_shard", None)
        (again,) = chain.calibrate_all("random", [two])
        assert again.shards == both[1].shards, "a finished file is published as it is"
    with building(stage, settings), pytest.raises(BusyError):
        (stage.folder(tmp_path) / "manifest.json").unlink()
        chain.calibrate_all("random", [one, two])
    assert read_manifest(stage_of(settings, "range", "random", one), tmp_path) == first[0]
