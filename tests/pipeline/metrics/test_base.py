from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import LatentbenchError, UnknownNameError
from pipeline.metrics.base import (
    CONSISTENCY,
    LOCALITY,
    MATCHED,
    PAPER,
    PERCEPTION,
    RATES,
    Judgement,
    get,
    names,
)
from pipeline.metrics.protocols import PROTOCOLS
from pipeline.statistics.bootstrap import Estimate
from tests.builders.edit_sets import edit_set, matched_set


@pytest.mark.parametrize(("name", "protocol"), [(name, which) for which in (PAPER, MATCHED) for name in names(which)])
def test_every_metric_has_its_facts_and_a_score(name, protocol):
    metric = get(name)
    assert metric.name == name
    assert metric.better in ("lower", "higher", "neither")
    assert metric.meaning and metric.paper and metric.unit
    edits = edit_set() if protocol == PAPER else matched_set()
    judgements = metric.score(edits)
    assert judgements
    assert {judgement.role for judgement in judgements} <= {*metric.roles, "none"}
    for judgement in judgements:
        estimate = judgement.estimate
        assert np.isfinite(estimate.value)
        assert estimate.low - 1e-9 <= estimate.value <= estimate.high + 1e-9 or name.startswith("inception")


@pytest.mark.parametrize("name", [name for name in names(PAPER) if not name.startswith("inception")])
def test_the_order_of_the_images_says_nothing(name):
    """Face and step say what an image is, not its row (of the inception score alone the parts are drawn by row)."""
    rng = np.random.default_rng(5)
    edits = edit_set(edited_value=rng.random(60).astype(np.float32), identity_mtcnn=rng.random(60).astype(np.float32))
    order = rng.permutation(60)
    shuffled = replace(
        edits,
        columns={key: column[order] for key, column in edits.columns.items()},
        features=edits.features[order],
        originals=edits.originals[order],
        splits=replace(edits.splits, kid_subset_size=60, kid_subsets=1),
        reference=replace(edits.reference, features=edits.reference.features[:60]),
    )
    plain = replace(edits, splits=shuffled.splits, reference=shuffled.reference)
    pairs = list(zip(get(name).score(plain), get(name).score(shuffled), strict=True))
    assert pairs
    for one, other in pairs:
        assert one.estimate.value == pytest.approx(other.estimate.value, abs=1e-5)


def test_every_metric_belongs_to_a_protocol():
    assert set().union(*(protocol.metrics for protocol in PROTOCOLS)) == set(names())
    assert [protocol.name for protocol in PROTOCOLS] == [PAPER, MATCHED, RATES, CONSISTENCY, LOCALITY, PERCEPTION]
    assert names(PERCEPTION) == ("fid", "lpips", "ssim") and names(LOCALITY) == ("locality", "parts_area")
    assert {get(name).grid_protocol for name in names(PERCEPTION)} == {PAPER}, "compared once, under the first"
    assert {"identity_distance", "true_identity_distance", "lpips", "ssim"} <= set(names(PAPER)) & set(names(MATCHED))
    assert {"fid", "seconds_per_edit"} & set(names(MATCHED)) == set()


def test_an_unknown_metric_names_the_closest():
    with pytest.raises(UnknownNameError, match="inception_score"):
        get("inception_scor")


def test_naming_metrics_imports_no_torch():
    code = (
        "import sys; from pipeline.metrics.base import get, names; [get(n) for n in names()]; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_flags_say_why():
    metric = get("kid")
    few = Judgement(Estimate(0.0, None, None, 3, 30), "perception", "odd")
    assert metric.flags(few) == "odd; fewer than 10 faces; fewer than 100 images"
    assert metric.flags(Judgement(Estimate(0.0, None, None, 50, 2000))) == ""


def test_a_missing_step_is_an_error():
    edits = edit_set(faces=3, steps=4)
    short = replace(edits, columns={name: column[:-1] for name, column in edits.columns.items()})
    with pytest.raises(LatentbenchError, match="some step is missing"):
        short.rows_by_edit()


def test_rows_by_edit_are_steps_in_order():
    edits = edit_set(faces=3, steps=4, attributes=("age", "yaw"))
    rows, faces = edits.rows_by_edit()
    assert rows.shape == (6, 4)
    assert (edits.columns["step"][rows] == np.arange(4)).all()
    assert (edits.columns["face_id"][rows] == faces[:, None]).all()
    assert (edits.columns["attribute"][rows[:3]] == "age").all()
