"""Variants: every loss has one that removes it, each changes what it says, and a wrong name gets the closest one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.chain.links import Chain
from pipeline.domains import base as domains
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.methods import registry
from pipeline.methods.l2l.method import L2L
from pipeline.methods.l2l.training import LOSSES
from pipeline.methods.variants import BASE, DECLARED, choose, declared
from pipeline.settings.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
CONFIGURED = L2L().parameters()


def names(**changes: Any) -> list[str]:
    return [variant.name for variant in choose("l2l", CONFIGURED | changes)]


def load(overrides: dict[str, str]) -> Settings:
    return load_settings(
        profile="smoke",
        methods=["l2l"],
        known_methods=registry.names(),
        known_domains=domains.names(),
        overrides=overrides,
        path=ROOT / "luigi.cfg",
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_variant_that_removes_it_alone(loss: str) -> None:
    (variant,) = [each for each in choose("l2l", CONFIGURED) if each.name == f"no-{loss}"]
    method = L2L(**(CONFIGURED | variant.changes))
    assert method.weights()[LOSSES.index(loss)] == 0
    others = {key: value for key, value in method.parameters().items() if key != f"weight_{loss}"}
    assert others.items() <= CONFIGURED.items()


def test_the_published_questions_are_all_asked() -> None:
    assert names() == [BASE, *(f"no-{loss}" for loss in LOSSES), "width-256", "w-plus", "plain", "raw"]
    other = names(width=256, codes="W+", residual=False, units="raw")
    assert {"width-512", "w", "residual", "deviations"} <= set(other)
    assert not {"width-256", "w-plus", "plain", "raw"} & set(other)


@pytest.mark.parametrize("method", DECLARED)
def test_every_variant_is_a_setting_that_the_method_takes(method: str) -> None:
    configured = registry.build(method, load({}).method_parameters(method)).parameters()
    assert declared(method).variants
    for variant in declared(method).variants:
        changed = load(variant.overrides(method)).method_parameters(method)
        assert registry.build(method, changed).parameters() == configured | variant.changes
        assert variant.tests


@pytest.mark.parametrize("method", DECLARED)
def test_a_variant_changes_what_follows_from_training_and_nothing_before(method: str) -> None:
    base, known = Chain(load({})), dict[str, str]()
    shared = {link.stage for link in base.links if not link.method}
    assert shared and declared(method).variants
    for variant in choose(method, registry.build(method, load({}).method_parameters(method)).parameters()):
        chain = Chain(load(variant.overrides(method)))
        assert {link.stage for link in chain.links if not link.method} == shared
        for link in chain.links:
            if link.method:
                assert known.setdefault(link.stage.fingerprint, variant.name) == variant.name


def test_a_variant_that_is_the_base_itself_is_told() -> None:
    with pytest.raises(ConfigError, match=r"residual of l2l is the base itself: \[method.l2l\] has residual = true"):
        choose("l2l", CONFIGURED, ["residual"])


@pytest.mark.parametrize(
    ("wrong", "closest"), [("no-cicle", "no-cycle"), ("w_plus", "w-plus"), ("with-256", "width-256")]
)
def test_an_unknown_variant_gets_the_closest_known_one(wrong: str, closest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{closest}'"):
        choose("l2l", CONFIGURED, [wrong])


def test_a_method_without_variants_is_told() -> None:
    with pytest.raises(UnknownNameError, match="No method with an ablation named 'sefa'.*Known: l2l"):
        choose("sefa", {})
    with pytest.raises(UnknownNameError, match="Did you mean 'l2l'"):
        choose("l2ll", {})


def test_only_named_variants_are_chosen_in_their_own_order() -> None:
    chosen = choose("l2l", CONFIGURED, ["plain", "no-cycle"])
    assert [variant.name for variant in chosen] == [BASE, "no-cycle", "plain"]
    assert chosen[1].changed(CONFIGURED) == "weight_cycle = 0.0 (not 0.5)" and not chosen[0].changed(CONFIGURED)
