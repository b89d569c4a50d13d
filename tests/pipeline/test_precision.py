"""Precisions as settings: part of what can change a number, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.chain.labels import label_images
from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.errors import ConfigError
from pipeline.methods import registry
from pipeline.settings.experiment import BFLOAT16, FULL, HALF
from pipeline.settings.settings import Settings, load_settings
from tests.worlds import px16

ROOT = Path(__file__).parents[2]


def load(precision: str = "", training_precision: str = "") -> Settings:
    return load_settings(
        profile="smoke",
        methods=("interfacegan",),
        known_methods=registry.names(),
        known_domains=base.names(),
        path=ROOT / "luigi.cfg",
        overrides={
            **({"domain.synthface.precision": precision} if precision else {}),
            **({"profile.smoke.training_precision": training_precision} if training_precision else {}),
        },
    )


def test_it_is_full_unless_asked_for() -> None:
    assert load().experiment.precision == FULL
    assert load("half").experiment.precision == HALF
    with pytest.raises(ConfigError, match=r"\[domain.synthface\] precision: expected full or half, found 'fp16'"):
        load("fp16")


def test_every_stage_but_latents_is_another_one_in_half() -> None:
    full, half = Chain(load()), Chain(load("half"))
    for one, other in zip(full.links, half.links, strict=True):
        assert (one.stage == other.stage) == (one.stage.name == "latents"), one.title
    assert full.settings.as_json() != half.settings.as_json()


def test_the_precision_of_trainings_is_part_of_trained_methods_alone() -> None:
    full, reduced = Chain(load(training_precision=FULL)), Chain(load(training_precision=BFLOAT16))
    others = {one.stage.name for one, other in zip(full.links, reduced.links, strict=True) if one.stage == other.stage}
    assert others == {"latents", "labels", "reference", "spread"}
    changed = [link.stage.name for link in reduced.links if "training_precision" in link.stage.parameters]
    assert changed == ["train"] and full.settings.as_json() != reduced.settings.as_json()
    with pytest.raises(ConfigError, match=r"\[profile.smoke\] training_precision: expected full or bfloat16"):
        load(training_precision="half")


def test_full_precision_leaves_no_trace_in_fingerprints() -> None:
    """So what was computed before there was a choice stays valid."""
    settings = load()
    names = {"precision", "training_precision"}
    assert not names & set(settings.as_json()["protocol"])
    assert not any(names & set(link.stage.parameters) for link in Chain(settings).links)
    changed = replace(settings, experiment=replace(settings.experiment, seed=1))
    assert changed.as_json() != settings.as_json()


def test_the_domain_is_loaded_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    full, half = (base.load(px16.NAME, "cpu", precision) for precision in (FULL, HALF))
    assert base.load(px16.NAME, "cpu") is full is not half
    assert (full.generator.synthesis.half_type, half.generator.synthesis.half_type) == (None, torch.float16)
    w = np.random.default_rng(0).standard_normal((4, 512), dtype=np.float32)
    expected, found = label_images(full, w, 0.5)[0], label_images(half, w, 0.5)[0]
    assert 0 < np.abs(expected - found).max() < 0.01
