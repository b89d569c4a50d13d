"""Means by face against the metrics themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.domains.base import network_name
from pipeline.metrics.base import get, names
from pipeline.metrics.edit_columns import edit_columns
from pipeline.report.by_face import face_scores, groups
from pipeline.tables.schemas import EDITS, FACE_SCORES
from tests.builders import random_edits, random_run
from tests.builders.edit_sets import edit_set

MEANS = [name for name in names() if get(name).samples is not None and get(name).compared]
METHODS = ("l2l", "random")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    found = face_scores(random_edits.edits(METHODS), random_run.CARD)
    assert found.schema.equals(FACE_SCORES)
    return found.to_pandas()


def test_what_is_a_mean_is_known() -> None:
    assert {"identity_distance", "lpips", "ssim", "attribute_change", "true_identity_distance"} <= set(MEANS)
    assert "detected_share" in MEANS and "fid" not in MEANS and "seconds_per_edit" not in MEANS
    assert "true_identity_error" not in MEANS, "a reader's error compares no methods"


@pytest.mark.parametrize("metric", MEANS)
@pytest.mark.parametrize("attribute", ["age", "expression", "all"])
def test_the_mean_of_a_group_is_the_metric_s_own_score(table: pd.DataFrame, metric: str, attribute: str) -> None:
    """The metric judges the same edits by its own code; so also for all attributes, which is not in the table."""
    edits = random_edits.edits(("l2l",))
    columns = edit_columns(edits)
    chosen = np.ones(edits.num_rows, bool) if attribute == "all" else columns["attribute"] == attribute
    own = {name: values[chosen] for name, values in columns.items()}
    judged = edit_set(attributes=("age",), **own)
    judgements = get(metric).score(judged)
    assert judgements
    for judgement in judgements:
        network = network_name(random_run.CARD, judgement.role)
        group = next(
            one for one in groups(table) if (one.metric, one.network, one.attribute) == (metric, network, attribute)
        )
        place = group.methods.index("l2l")
        assert group.sums.means()[place] == pytest.approx(judgement.estimate.value, rel=1e-9, abs=1e-12)
        assert (group.sums.sizes[place] > 0).sum() == judgement.estimate.n_faces
        if metric not in ("attribute_change", "attribute_monotonicity"):
            assert group.sums.sizes[place].sum() == judgement.estimate.n_images


def test_a_method_that_lacks_an_attribute_has_no_face_there() -> None:
    edits = random_edits.edits(METHODS).to_pandas()
    fewer = edits[~((edits["method"] == "random") & (edits["attribute"] == "age"))]
    found = face_scores(pa.Table.from_pandas(fewer, EDITS, preserve_index=False), random_run.CARD)
    group = next(one for one in groups(found.to_pandas()) if (one.metric, one.attribute) == ("lpips", "age"))
    assert group.methods == METHODS
    assert (group.sums.sizes > 0).any(axis=1).tolist() == [True, False]
