"""Precision as a setting: part of what can change a number, and of nothing else; images and judges in bfloat16."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.chain.labels import label_images
from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.domains.base import Domain
from pipeline.domains.microbatches import generate
from pipeline.errors import ConfigError, UnknownNameError
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
    assert load("bfloat16").experiment.precision == BFLOAT16
    with pytest.raises(
        ConfigError, match=r"\[domain.synthface\] precision: expected full or half or bf.*, found 'fp16'"
    ):
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


def with_profile(tmp_path: Path, line: str, **overrides: str) -> Settings:
    """Profile smoke with one more line."""
    path = tmp_path / "luigi.cfg"
    path.write_text((ROOT / "luigi.cfg").read_text().replace("[profile.smoke]\n", f"[profile.smoke]\n{line}\n"))
    return load_settings(
        profile="smoke",
        methods=("interfacegan",),
        known_methods=registry.names(),
        known_domains=base.names(),
        path=path,
        overrides={f"domain.{name}.precision": value for name, value in overrides.items()},
    )


def test_a_profile_chooses_for_one_domain_and_the_command_line_for_both(tmp_path: Path) -> None:
    assert with_profile(tmp_path, "synthface.precision = bfloat16").experiment.precision == BFLOAT16
    assert with_profile(tmp_path, "ffhq.precision = bfloat16").experiment.precision == FULL
    assert with_profile(tmp_path, "synthface.precision = bfloat16", synthface=HALF).experiment.precision == HALF
    with pytest.raises(ConfigError, match=r"\[profile.smoke\] synthface.precision: expected full or half"):
        with_profile(tmp_path, "synthface.precision = narrow")
    with pytest.raises(UnknownNameError, match=r"sinthface.precision"):
        with_profile(tmp_path, "sinthface.precision = full")


@pytest.fixture(scope="module")
def narrow() -> Domain:
    return base.load("synthface", "cpu", BFLOAT16)


def test_an_image_in_bfloat16_is_the_same_to_the_bit_with_any_number_of_others(narrow: Domain) -> None:
    """Nothing would be left of the noise constants otherwise: a rounding that turns moves a pixel by .01."""
    ws = narrow.generator.mapping(torch.randn(33, 512, generator=torch.Generator().manual_seed(0)))
    with torch.inference_mode():
        whole = generate(narrow, ws)
        for rows in (slice(0, 1), slice(30, 33), slice(3, 20), slice(0, 32)):
            assert torch.equal(generate(narrow, ws[rows]), whole[rows])
        unfilled = narrow.generator.synthesis(ws[:5])
    assert generate(narrow, ws[:0]).shape == (0, 3, 64, 64)
    assert (unfilled - whole[:5]).abs().max() < 0.05


def test_images_and_judges_of_bfloat16_are_close_to_those_of_full_precision(narrow: Domain) -> None:
    full = base.load("synthface", "cpu")
    assert narrow.generator.synthesis.half_type == torch.bfloat16 and full.generator.synthesis.half_type is None
    ws = full.generator.mapping(torch.randn(16, 512, generator=torch.Generator().manual_seed(1)))
    with torch.inference_mode():
        images = generate(full, ws)
        assert 0 < (generate(narrow, ws) - images).abs().mean() < 0.004
        for role in base.NARROWED[:-1]:
            expected, found = (getattr(domain, role)(images) for domain in (full, narrow))
            assert found.dtype == torch.float32, role
            assert 0 < (found - expected).abs().mean() < 0.03 * expected.std(dim=0).mean(), role
        expected, found = (domain.detector.detect(images).probability for domain in (full, narrow))
        assert torch.equal(expected, found) and expected.max() > 0.9


def test_weights_can_take_part_in_a_training_wherever_they_are_loaded() -> None:
    base._load.cache_clear()
    with torch.inference_mode():
        domain = base.load("synthface", "cpu")
    assert not any(weight.is_inference() for weight in domain.scorer_a.parameters())
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    domain.scorer_a(image).sum().backward()
    assert image.grad is not None and image.grad.abs().max() > 0


def test_a_processor_that_does_not_multiply_bfloat16_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    for units, warnings in (({"avx2": True}, 1), ({"avx2": True, "avx512_bf16": True}, 0)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda units=units: units, raising=False)
        base._load.cache_clear()
        caplog.clear()
        with caplog.at_level("WARNING"):
            base.load(px16.NAME, "cpu", BFLOAT16)
        assert ["precision = full" in record.getMessage() for record in caplog.records] == [True] * warnings
