"""Labels are scorer A's values of G(w), the same for every way of cutting the work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.chain.inputs import read_values, read_w
from pipeline.domains import base
from pipeline.errors import StageError, UnknownNameError
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px8
from tests.worlds.px8 import tiny_settings


@pytest.fixture(autouse=True)
def tiny_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    px8.lend(monkeypatch)


def test_labels_are_scorer_a_and_the_detector(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, shard_size=512)
    compute(settings, "latents", "train")
    manifest = compute(settings, "labels", "train")
    ids, values, probability = read_values(reading(settings, "labels", "train"), "train")
    assert manifest.rows == 1024 and ids.tolist() == list(range(1024))
    assert values.shape == (1024, 35) and values.dtype == probability.dtype == np.float32
    domain = base.load(px8.NAME, "cpu")
    w = torch.from_numpy(read_w(reading(settings, "latents", "train"), "train")[1])
    images = domain.generator.synthesis(domain.generator.mapping.broadcast(w))
    np.testing.assert_allclose(values, domain.scorer_a(images).numpy(), atol=1e-5)
    detection = domain.detector.detect(images, threshold=settings.experiment.detection_threshold)
    assert 0 < int(detection.found.sum()) < 1024, "the test needs both"
    expected = torch.where(detection.found, detection.probability, 0.0).numpy()
    np.testing.assert_allclose(probability, expected, atol=1e-5)


def test_shard_size_changes_no_bit_of_a_label(tmp_path: Path) -> None:
    found = []
    for size in (256, 1024):
        settings = tiny_settings(tmp_path / str(size), shard_size=size)
        compute(settings, "latents", "train")
        compute(settings, "labels", "train")
        found.append(read_values(reading(settings, "labels", "train"), "train"))
    assert all(len(read) for read in found[0])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_latents_come_first(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    with pytest.raises(StageError, match="latents train is not computed"):
        compute(settings, "labels", "train")
    with pytest.raises(UnknownNameError, match="labelled set"):
        stage_of(settings, "labels", "reference")


def test_what_judges_later_is_not_in_the_fingerprint(tmp_path: Path) -> None:
    settings, card = tiny_settings(tmp_path), px8.describe()
    stage = stage_of(settings, "labels", "train")
    for role, same in (("scorer_a", False), ("detector", False), ("generator", False), ("scorer_b", True)):
        other = replace(card, weights={**card.weights, role: "0"})
        assert (stage_of(settings, "labels", "train", card=other) == stage) is same
