"""Scores and matrix at matched change are those of the rows, nothing reached is dropped, and nothing else counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.attributes import NAMES, index_of
from pipeline.chain.matched.scores import matched_set, matrix
from pipeline.domains import base
from pipeline.metrics.base import MATCHED, names
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.stages import building, write_shard
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage, write_table
from pipeline.tables.schemas import CHANGE_COLUMNS
from tests.builders.chains import compute, stage_of
from tests.worlds import px16

LEVELS = (0.05, 0.1, 0.2, 0.4)  # those of the scenes
FACES = 6


def rows(method: str, settings: Settings) -> pa.Table:
    """Drawn changes; nothing is reached by noop, and by random half of all, but of age downwards nothing."""
    rng = np.random.default_rng(4)
    found = []
    for attribute in settings.experiment.attributes:
        for face in range(FACES):
            for direction in (1, -1):
                for level in LEVELS:
                    lucky = rng.random() < 0.6
                    reached = method == "random" and lucky and (attribute != "age" or direction > 0)
                    row = {
                        "method": method,
                        "attribute": attribute,
                        "face_id": 100 + face,
                        "direction": direction,
                        "level": level,
                        "reached": reached,
                        "unreached": None if reached else "weak",
                        "tolerance": 0.05,
                    }
                    if reached:
                        changes = rng.normal(size=35)
                        row |= dict(zip(CHANGE_COLUMNS, changes, strict=True))
                        row |= {"detected": True, "change_b": changes[index_of(attribute)]}
                        measures = ("identity_mtcnn", "identity_recognizer_a", "identity_recognizer_b", "lpips", "ssim")
                        row |= {name: rng.random() for name in measures}
                        row |= {"true_identity_distance": rng.random(), "true_identity_error": 0.2}
                    found.append(row)
    return pa.Table.from_pylist(found, schema=schemas.MATCHED)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    patch = pytest.MonkeyPatch()
    patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    settings = px16.scene_settings(tmp_path_factory.mktemp("rescoring"))
    for method in settings.method_names:
        table = rows(method, settings)
        with building(stage_of(settings, "matched", method), settings) as builder:
            record = write_shard(
                builder.folder, "matched-all.parquet", lambda path, t=table: write_table(t, schemas.MATCHED, path)
            )
            builder.publish([record])
        compute(settings, "rescoring", method)
    yield settings
    patch.undo()


def published(settings: Settings, method: str, schema: pa.Schema) -> pd.DataFrame:
    stage = stage_of(settings, "rescoring", method)
    return read_stage(stage, settings.outputs, schema).to_pandas()


def test_every_metric_scores_every_attribute_and_level(run: Settings) -> None:
    found = published(run, "random", schemas.STAGE_SCORES)
    for name in names(MATCHED):
        own = found[found["metric"] == name]
        assert set(zip(own["attribute"], own["level"], strict=True)) == {
            (attribute, level) for attribute in (*run.experiment.attributes, "all") for level in LEVELS
        }
    assert not found.duplicated(["attribute", "metric", "network", "level"]).any()
    assert set(found["protocol"]) == {"matched-change-1"}
    networks = found.groupby("metric")["network"].agg(set).to_dict()
    assert networks["attribute_dependency_mean"] == networks["attribute_change_reported"] == {"scenes-scorer_b"}
    assert networks["unreached_share"] == {"scenes-scorer_a"}


def test_scores_are_means_over_what_was_reached(run: Settings) -> None:
    found = published(run, "random", schemas.STAGE_SCORES).set_index(["metric", "attribute", "level", "network"])[
        "value"
    ]
    table = rows("random", run).to_pandas()
    assert table["reached"].any()
    for attribute in (*run.experiment.attributes, "all"):
        for level in LEVELS:
            sought = table[(table["level"] == level) & ((table["attribute"] == attribute) | (attribute == "all"))]
            there = sought[sought["reached"]]
            assert len(there), (attribute, level)
            key = (attribute, level)
            assert found[("unreached_share", *key, "scenes-scorer_a")] == pytest.approx(1 - sought["reached"].mean())
            distance = there["identity_recognizer_b"].mean()
            assert found[("identity_distance", *key, "scenes-recognizer_b")] == pytest.approx(distance, rel=1e-5)
            sizes = [
                np.mean([abs(row[f"change_{name}"]) for name in NAMES if name != NAMES[index_of(row["attribute"])]])
                for row in there.to_dict("records")
            ]
            dependency = found[("attribute_dependency_mean", *key, "scenes-scorer_b")]
            assert dependency == pytest.approx(np.mean(sizes), rel=1e-5)


def test_of_no_edit_the_share_alone_is_told(run: Settings) -> None:
    found = published(run, "noop", schemas.STAGE_SCORES)
    assert set(found["metric"]) == {"unreached_share"} and (found["value"] == 1.0).all()
    assert len(found) == 3 * len(LEVELS)
    entries = published(run, "noop", schemas.RESCORING)
    assert len(entries) == 2 * 2 * 4 * 35 and entries["change"].isna().all() and (entries["n_faces"] == 0).all()


def test_scores_of_the_lesser_part_say_so(run: Settings) -> None:
    found = published(run, "random", schemas.STAGE_SCORES)
    shares = found[found["metric"] == "unreached_share"].set_index(["attribute", "level"])["value"]
    rest = found[found["metric"] != "unreached_share"]
    assert len(rest) and (shares > 0.5).any() and (shares <= 0.5).any()
    for row in rest.to_dict("records"):
        few = "fewer than 50% of the changes were reached" in row["flag"]
        assert few == (shares[row["attribute"], row["level"]] > 0.5)
        assert "fewer than 10 faces" in row["flag"]


def test_the_matrix_is_the_mean_of_each_entry(run: Settings) -> None:
    found = published(run, "random", schemas.RESCORING)
    assert set(found["network"]) == {"scenes-scorer_b"}
    table = rows("random", run).to_pandas()
    reached = table[table["reached"]]
    for row in found.sample(60, random_state=1).to_dict("records"):
        same = reached["attribute"] == row["attribute"]
        own = reached[same & (reached["direction"] == row["direction"]) & (reached["level"] == row["level"])]
        assert row["n_faces"] == len(own)
        if len(own):
            assert row["change"] == pytest.approx(own[f"change_{row['scored_attribute']}"].mean(), rel=1e-5)
            assert row["ci_low"] <= row["change"] + 1e-9 and row["change"] - 1e-9 <= row["ci_high"]
    down = found[(found["attribute"] == "age") & (found["direction"] == -1)]
    assert len(down) == 4 * 35 and down["change"].isna().all()


def test_the_order_of_the_rows_says_nothing(run: Settings) -> None:
    table = rows("random", run)
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    bootstrap = Bootstrap(50)
    one, other = (list(matrix(t, "random", ("age", "glasses"), LEVELS, bootstrap)) for t in (table, shuffled))
    for left, right in zip(one, other, strict=True):
        assert left["change"] == pytest.approx(right["change"]) and left["ci_low"] == pytest.approx(right["ci_low"])
    sets = [matched_set(t, "random", "all", 0.1, bootstrap) for t in (table, shuffled)]
    assert len(sets[0]) == len(sets[1]) == int(rows_at(table, 0.1).sum())


def rows_at(table: pa.Table, level: float) -> np.ndarray:
    return (table.column("level").to_numpy() == level) & table.column("reached").to_numpy()
