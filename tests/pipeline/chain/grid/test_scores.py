"""Scores of a method: every metric, per attribute and over all, by the networks that judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.chain.grid.scores import read_edits
from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.domains.base import network_name
from pipeline.errors import UnknownNameError
from pipeline.metrics.base import get, names
from pipeline.settings.settings import Settings
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage
from tests.builders.chains import compute, stage_of
from tests.worlds import px16
from tests.worlds.px16 import run_to_edits, scene_settings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    patch = pytest.MonkeyPatch()
    patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    settings = scene_settings(tmp_path_factory.mktemp("scenes"))
    run_to_edits(settings)
    for method in settings.method_names:
        compute(settings, "scores", method)
    yield settings
    patch.undo()


def scores(settings: Settings, method: str) -> pd.DataFrame:
    stage = stage_of(settings, "scores", method)
    return read_stage(stage, settings.outputs, schemas.STAGE_SCORES).to_pandas()


def test_every_metric_scores_every_attribute_and_all(run: Settings) -> None:
    found = scores(run, "random")
    for protocol, part in found.groupby("protocol"):
        assert set(part["metric"]) == set(names(str(protocol)))
        for name in names(str(protocol)):
            attributes = {"age", "glasses", "all"} if get(name).per_attribute else {"all"}
            assert set(part[part["metric"] == name]["attribute"]) == attributes
    assert not found.duplicated(["protocol", "attribute", "metric", "network"]).any()
    assert set(found["protocol"]) == {"l2l-2022", "locality-1", "llf-2026"} and set(found["domain"]) == {px16.NAME}


def test_the_perception_protocol_is_the_same_scores_under_its_name(run: Settings) -> None:
    found = scores(run, "random")
    keys = ["metric", "attribute", "network"]
    llf, paper = (found[found["protocol"] == name].set_index(keys)["value"] for name in ("llf-2026", "l2l-2022"))
    assert len(llf) == 9 and (paper.loc[llf.index] == llf).all()


def test_doing_nothing_adds_nothing_to_the_same_codes(run: Settings) -> None:
    found = scores(run, "noop").set_index("metric")["value"]
    assert abs(found["fid_same_codes"]) < 1e-6 and abs(found["kid_same_codes"]) < 1e-6


def test_networks_are_named_by_the_domain(run: Settings) -> None:
    found = scores(run, "random")
    networks = found.groupby("metric")["network"].agg(set).to_dict()
    assert networks["identity_distance"] == {"scenes-onet", "scenes-recognizer_a", "scenes-recognizer_b"}
    assert networks["fid"] == networks["inception_score"] == {"scenes-perception"}
    assert networks["lpips"] == {"scenes-perception-lpips-without-heads"}
    assert networks["attribute_change"] == {"scenes-scorer_b"}
    assert networks["true_identity_distance"] == networks["true_identity_error"] == {"scenes-reader"}
    assert networks["ssim"] == networks["seconds_per_edit"] == {"none"}
    with pytest.raises(UnknownNameError):
        network_name(px16.describe(), "scorer_c")


def test_means_are_those_of_the_edits_table(run: Settings) -> None:
    found = scores(run, "random").query("protocol != 'llf-2026'").set_index(["metric", "attribute", "network"])["value"]
    edits = read_stage(stage_of(run, "edits", "random"), run.outputs, schemas.EDITS).to_pandas()
    seen = edits[edits["detected"]]
    distance = found["identity_distance"]
    assert distance["all", "scenes-onet"] == pytest.approx(seen["identity_mtcnn"].mean(), rel=1e-6)
    age = seen[seen["attribute"] == "age"]
    assert distance["age", "scenes-recognizer_b"] == pytest.approx(age["identity_recognizer_b"].mean(), rel=1e-6)
    assert found["detected_share"]["all", "scenes-detector"] == pytest.approx(edits["detected"].mean())
    ends = edits[(edits["attribute"] == "glasses")].pivot(index="face_id", columns="step", values="value_glasses")
    truly = found["true_identity_distance"]["age", "scenes-reader"]
    assert truly == pytest.approx(age["true_identity_distance"].mean(), rel=1e-6)
    assert found["true_identity_error"]["age", "scenes-reader"] == pytest.approx(0.35)
    change = found["attribute_change"]["glasses", "scenes-scorer_b"]
    assert change == pytest.approx((ends[4] - ends[0]).mean(), abs=1e-6)


def test_no_edit_keeps_identity_and_changes_nothing(run: Settings) -> None:
    expected = {"identity_distance": 0.0, "true_identity_distance": 0.0, "lpips": 0.0, "ssim": 1.0}
    expected["attribute_change"] = 0.0
    found = scores(run, "noop")
    assert set(expected) <= set(found["metric"])
    for metric, value in expected.items():
        values = found[found["metric"] == metric]["value"]
        assert len(values), metric
        np.testing.assert_allclose(values, value, atol=1e-5)


def test_few_faces_are_flagged(run: Settings) -> None:
    found = scores(run, "random")
    judged = found[~found["metric"].str.startswith("seconds")]
    assert judged["flag"].str.contains("fewer than 10 faces").all()


def test_the_same_edits_score_the_same_bits(run: Settings) -> None:
    for name in ("fid", "kid", "inception_score", "identity_distance"):
        one, other = (get(name).score(read_edits(Chain(run).work("scores", "random"), "all")) for _ in range(2))
        assert one == other


def test_what_changes_a_score_changes_the_stage_and_what_does_not_does_not(run: Settings) -> None:
    stage = stage_of(run, "scores", "noop")
    more = replace(run, experiment=replace(run.experiment, bootstrap_samples=77))
    assert stage_of(more, "scores", "noop") != stage
    assert stage_of(more, "edits", "noop") == stage_of(run, "edits", "noop")
    assert stage_of(run.on(workers=5, shard_size=512), "scores", "noop") == stage
    assert stage_of(replace(run, experiment=replace(run.experiment, profile="mine")), "scores", "noop") == stage
