"""Experiments and machines for tests: small, and complete without a settings file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.settings.experiment import Experiment
from pipeline.settings.machine import ONE_WORKER, Machine

# What most tests do not look at.
SETTINGS: dict[str, Any] = {
    "truncation_psi": 1.0,
    "found_share": 0.95,
    "detection_threshold": 0.9,
    "displacement_cap": 1.5,
    "confidence": 0.95,
    "n_naming_codes": 256,
    "comparison_samples": 10_000,
    "first_naming_id": 3_000_000_000,
    "n_spread": 5000,
    "n_matched_faces": 500,
    "matched_levels": (0.5, 1.0, 1.5, 2.0),
    "matched_bisections": 10,
    "matched_tolerance": 0.05,
    "n_rate_faces": 1000,
    "rate_strengths": 10,
    "false_accept_rate": 0.001,
    "n_consistency_faces": 200,
    "consistency_share": 0.5,
}


def experiment(**settings: Any) -> Experiment:
    """An experiment with these settings, and `SETTINGS` for the others."""
    return Experiment(**(SETTINGS | settings))


def machine(**settings: Any) -> Machine:
    """One worker on the CPU, with these settings changed."""
    return replace(ONE_WORKER, **settings)
