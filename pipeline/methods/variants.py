"""Variants of a method: settings that an ablation changes one at a time, and what each of them tests.

A method declares its variants in a module next to it, as an `Ablation`, with one line in DECLARED. Every variant runs
through the ordinary chain with the changed settings, so its stages have fingerprints of their own; the stages of `base`
are the stages of an ordinary run.

>>> from pipeline.methods.variants import declared
>>> variant = declared("l2l").variants[0]
>>> variant.name, variant.tests, dict(variant.changes)
('no-attribute', 'whether anything but the target loss makes edits', {'weight_attribute': 0.0})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pipeline.errors import ConfigError, LatentbenchError, UnknownNameError
from pipeline.methods import registry

BASE = "base"

DECLARED: dict[str, str] = {
    "l2l": "pipeline.methods.l2l.variants:ABLATION",
}


@dataclass(frozen=True)
class Variant:
    """A method with some of its settings changed: `changes` maps keys of [method.NAME] to values."""

    name: str
    tests: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def overrides(self, method: str) -> dict[str, str]:
        """The changes as `settings.load_settings` takes them: "method.NAME.key" -> text."""
        return {f"method.{method}.{key}": as_text(value) for key, value in self.changes.items()}

    def changed(self, base: Mapping[str, Any]) -> str:
        """The settings that differ from the base, in words; empty for the base."""
        return ", ".join(f"{key} = {as_text(value)} (not {as_text(base[key])})" for key, value in self.changes.items())


@dataclass(frozen=True)
class HeldOut:
    """A measure in the facts of a training, under `held_out_losses`: one value per held-out code.

    `role`: of the network that judges, or "none".
    """

    loss: str
    metric: str
    meaning: str
    unit: str
    better: str = "lower"
    role: str = "none"


@dataclass(frozen=True)
class Ablation:
    """The variants of a method, without the base, and the measures of its training on held-out codes."""

    variants: tuple[Variant, ...]
    held_out: tuple[HeldOut, ...] = ()


def declared(method: str) -> Ablation:
    """The ablation of a method. Raises UnknownNameError for a method without one."""
    if method not in DECLARED:
        registry.get(method)
        raise UnknownNameError("method with an ablation", method, DECLARED)
    module, _, attribute = DECLARED[method].partition(":")
    ablation = getattr(import_module(module), attribute)
    if not isinstance(ablation, Ablation):
        raise LatentbenchError(f"{DECLARED[method]} is not an Ablation.")
    return ablation


def choose(method: str, base: Mapping[str, Any], names: Sequence[str] = ()) -> tuple[Variant, ...]:
    """The base and the named variants of a method, or all of them; `base` has the method's configured settings.

    A variant with the settings of the base is left out. Raises UnknownNameError for an unknown name, and ConfigError
    for a named variant that has the settings of the base.
    """
    variants = {variant.name: variant for variant in declared(method).variants}
    for name in names:
        if name not in (BASE, *variants):
            raise UnknownNameError(f"variant of {method}", name, (BASE, *variants))
        if name in variants and not _differs(variants[name], base):
            changes = ", ".join(f"{key} = {as_text(value)}" for key, value in variants[name].changes.items())
            raise ConfigError(f"Variant {name} of {method} is the base itself: [method.{method}] has {changes}.")
    chosen = [variant for name, variant in variants.items() if not names or name in names]
    return (Variant(BASE, "settings as configured"), *(variant for variant in chosen if _differs(variant, base)))


def as_text(value: object) -> str:
    """A setting as luigi.cfg has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _differs(variant: Variant, base: Mapping[str, Any]) -> bool:
    return any(base[key] != value for key, value in variant.changes.items())
