"""Edits for rate curves: rows are what a plain loop computes, nothing is dropped, and no bit depends on the shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.attributes import ATTRIBUTES, index_of
from pipeline.chain import inputs
from pipeline.chain.curves import edits as rates
from pipeline.chain.inputs import load_method, read_range, read_thresholds, read_values, read_w
from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.settings.settings import Settings
from pipeline.statistics.false_accepts import acceptance_distance
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px16
from tests.worlds.px16 import scene_settings

FACES, STRENGTHS = 7, 4


def rated(outputs: Path, methods: tuple[str, ...] = ("noop", "random")) -> Settings:
    """A run up to the scores of rate curves."""
    settings = scene_settings(outputs, methods)
    sizes = replace(
        settings.experiment, n_rate_faces=FACES, rate_strengths=STRENGTHS, n_spread=200, n_consistency_faces=4
    )
    settings = replace(settings, experiment=sizes)
    for which in ("train", "faces", "reference", "rates"):
        compute(settings, "latents", which)
    for which in ("train", "faces", "rates"):
        compute(settings, "labels", which)
    compute(settings, "spread")
    for method in methods:
        compute(settings, "train", method)
        Chain(settings).calibrate_all(method, settings.experiment.attributes)
        compute(settings, "rates", method)
        compute(settings, "consistency", method)
        compute(settings, "rating", method)
    return settings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
        return rated(tmp_path_factory.mktemp("rates"))


@pytest.fixture(autouse=True)
def scene_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")


def table(settings: Settings, method: str) -> pd.DataFrame:
    return read_stage(stage_of(settings, "rates", method), settings.outputs, schemas.RATES).to_pandas()


@torch.no_grad()
def test_rows_are_what_a_plain_loop_computes(run: Settings) -> None:
    domain, method = base.load(px16.NAME, "cpu"), load_method(reading(run, "train", "random"))
    limits = read_thresholds(reading(run, "spread"))
    ids, w = read_w(reading(run, "latents", "rates"), "rates")
    _, values, _ = read_values(reading(run, "labels", "rates"), "rates")
    rows = table(run, "random").to_dict("records")
    assert len(rows) == 2 * FACES * STRENGTHS
    for row in rows[:: len(rows) // 9]:
        face, column = ids.tolist().index(row["face_id"]), index_of(row["attribute"])
        ws = domain.generator.mapping.broadcast(torch.from_numpy(w[face : face + 1]))
        before = domain.generator.synthesis(ws).clamp(-1, 1)
        labels = domain.scorer_b(before).logit()[0] > torch.from_numpy(limits.cuts)
        ends = read_range(reading(run, "range", "random", row["attribute"]), row["attribute"])
        strength = (ends["low"] if labels[column] else ends["high"]) * row["strength_index"] / STRENGTHS
        assert (row["label"], row["strength"]) == (bool(labels[column]), pytest.approx(strength))
        strengths = torch.zeros(1, 35)
        strengths[0, column] = strength
        after = method.edit(ws, strengths, torch.from_numpy(values[face : face + 1]))
        image = domain.generator.synthesis(after).clamp(-1, 1)
        same = (domain.scorer_b(image).logit()[0] > torch.from_numpy(limits.cuts)) == labels
        found = bool(domain.detector.detect(image, threshold=0.9).found)
        distance = 1 - float((domain.recognizer_b(image) * domain.recognizer_b(before)).sum())
        assert row["detected"] == found
        assert row["flipped"] == (found and not same[column])
        others = [bool(same[place]) for place in range(35) if place != column]
        assert row["preserved"] == pytest.approx(sum(others) / 34 if found else 0.0)
        assert row["identity_recognizer_b"] == pytest.approx(distance, abs=1e-5)
        assert row["accepted"] == (found and row["identity_recognizer_b"] <= row["largest_accepted_distance"])


def test_no_edit_flips_nothing_and_scores_no_area(run: Settings) -> None:
    assert not table(run, "noop")["flipped"].any()
    scores = read_stage(stage_of(run, "rating", "noop"), run.outputs, schemas.STAGE_SCORES).to_pandas()
    assert set(scores["protocol"]) == {"rates-1", "consistency-1"}
    scores = scores[scores["protocol"] == "rates-1"]
    areas = scores[scores["metric"].isin(["preservation_area", "acceptance_area", "target_change_rate"])]
    assert (areas["value"] == 0).all()
    assert set(scores["attribute"]) == {"age", "glasses", "all"}
    rates_at = scores[scores["metric"] == "preservation_rate"]
    assert sorted(rates_at["level"].unique()) == [0.5, 0.75, 0.9] and rates_at["value"].isna().all()
    assert rates_at["flag"].str.contains("not reached").all()


def test_the_first_faces_are_those_of_the_other_protocols(run: Settings) -> None:
    rated, faces = (read_w(reading(run, "latents", which), which)[0].tolist() for which in ("rates", "faces"))
    assert rated[:6] == faces


def test_shards_change_no_bit(run: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 3 faces are other batches, so only what is discrete or in double precision must be the same."""
    whole = table(run, "random")
    monkeypatch.setattr(rates, "SHARD_FACES", 3)
    cut = table(rated(tmp_path, ("random",)), "random")
    exact = ["attribute", "face_id", "strength_index", "strength", "label", "detected", "flipped", "accepted"]
    sort = ["attribute", "face_id", "strength_index"]
    pd.testing.assert_frame_equal(*(t.sort_values(sort, ignore_index=True)[exact] for t in (whole, cut)))


def test_unedited_faces_are_judged_once_for_all_methods_and_attributes(
    run: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same block of the same codes, by the same judges; rows above are checked against a plain loop."""
    works = [Chain(run).work("rates", method) for method in run.method_names]
    first, *others = (
        rates.Unedited.of(work, block) for work in works for block in rates.cut(run, work.name) if block.first == 0
    )
    assert len(others) == 3
    kept = rates.judged_unedited(first)
    monkeypatch.setattr(rates, "_judged", lambda *_: pytest.fail("judged again"))
    assert all(rates.judged_unedited(other) is kept for other in others)
    assert replace(first, stop=3) != first and replace(first, device="cuda") != first


def test_lines_are_drawn_by_unedited_images(run: Settings) -> None:
    limits = read_thresholds(reading(run, "spread"))
    for column, attribute in enumerate(ATTRIBUTES):
        if attribute.kind == "binary":
            assert limits.cuts[column] == 0
    spread = read_stage(stage_of(run, "spread"), run.outputs, schemas.SPREAD)
    persons = np.stack(spread.column("identity_b").to_pylist())
    assert limits.distance == acceptance_distance(persons, run.experiment.false_accept_rate)
    assert (table(run, "random")["largest_accepted_distance"] == limits.distance).all()


def test_the_lines_are_read_once_in_a_process(run: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another rate of false accepts is another line."""
    work = reading(run, "spread")
    first = read_thresholds(work)
    monkeypatch.setattr(inputs, "read_stage", lambda *_: pytest.fail("read again"))
    assert read_thresholds(reading(run, "spread")) is first
    monkeypatch.undo()
    other = replace(run, experiment=replace(run.experiment, false_accept_rate=0.5))
    assert read_thresholds(replace(work, settings=other)).distance > first.distance


def test_a_label_flips_beyond_the_cut_and_not_by_a_scorer_s_noise() -> None:
    """Logits of one face in two batches, on either side of the cut: its label is kept, whichever it was."""
    cuts = torch.tensor([-3.0, 0.0])
    near = torch.tensor([[-3.0002, 0.0002], [-2.9998, -0.0002]])
    for labels in (torch.tensor([[True, True]] * 2), torch.tensor([[False, False]] * 2)):
        assert rates.kept(labels, near, cuts).all()
    clearly = torch.tensor([[-3.01, 0.01]])
    assert rates.kept(torch.tensor([[True, True]]), clearly, cuts).tolist() == [[False, True]]
    assert rates.kept(torch.tensor([[False, False]]), clearly, cuts).tolist() == [[True, False]]
