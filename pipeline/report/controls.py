"""What the controls must score and what they scored: where that does not hold, no other number should be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.metrics.base import ALL, CONSISTENCY, MATCHED, PAPER, RATES, names

FLOAT_ERROR = 1e-3  # of distances of float32 images that were judged in batches of another size
NOOP, RANDOM, SHUFFLED, TRUE_LABELS = "noop", "random", "interfacegan_shuffled", "interfacegan"
CHANGE = "attribute_change"
LEVEL = 0.01
LEAST_ATTRIBUTES = 7  # with fewer, no assignment of signs is rarer than LEVEL
_UNMOVED = (
    "identity_distance",
    "true_identity_distance",
    "lpips",
    "attribute_change",
    "fid_same_codes",
    "kid_same_codes",
)
# protocol, metric -> what a method must score that changes nothing: every protocol has its own way of telling.
PERFECT: dict[tuple[str, str], float] = {
    **dict.fromkeys(((PAPER, name) for name in _UNMOVED), 0.0),
    (PAPER, "ssim"): 1.0,
    (MATCHED, "unreached_share"): 1.0,
    **dict.fromkeys(((RATES, name) for name in ("preservation_area", "acceptance_area")), 0.0),
    **dict.fromkeys(((CONSISTENCY, name) for name in names(CONSISTENCY)), 0.0),
}


@dataclass(frozen=True)
class Check:
    """One promise of a control: what was expected, what was found, whether it holds (None: it could not be tested)."""

    control: str
    expected: str
    found: str
    holds: bool | None


def control_checks(scores: pd.DataFrame) -> list[Check]:
    """The checks of every control that a run has, from its SCORES."""
    methods = set(scores["method"])
    checks = [_noop(scores)] if NOOP in methods else []
    if SHUFFLED in methods and RANDOM in methods:
        checks.append(_shuffled(scores[scores["protocol"] == PAPER]))
    return checks


def broken(checks: list[Check]) -> list[str]:
    """A sentence for every check that does not hold."""
    return [f"{one.control}: expected {one.expected}, found {one.found}" for one in checks if one.holds is False]


def _noop(scores: pd.DataFrame) -> Check:
    """No edit: the person, the picture and the attribute stay what they are."""
    own = scores[scores["method"] == NOOP]
    perfect = [PERFECT.get(key, np.nan) for key in zip(own["protocol"], own["metric"], strict=True)]
    off = (own["value"] - perfect).abs().dropna()
    expected = f"no distance, no change and perfect similarity in every protocol, within {FLOAT_ERROR:g}"
    if off.empty:
        return Check(NOOP, expected, "no such score", None)
    worst = own.loc[off.idxmax()]
    found = (
        f"at most {off.max():.2g} off ({worst['metric'].replace('_', ' ')} of {worst['protocol']}, "
        f"{worst['attribute']})"
    )
    return Check(NOOP, expected, found, bool(off.max() <= FLOAT_ERROR))


def _shuffled(scores: pd.DataFrame) -> Check:
    """Directions learned from shuffled labels change their attributes no more than random ones do.

    What is drawn at random here is a direction per attribute, and its effect on 50 faces or on 500 is the same effect:
    so attributes are what is resampled, by the exact test that flips the sign of each attribute's difference.
    """
    expected = f"attributes change no more than along random directions (one-sided exact test, p above {LEVEL:g})"
    own = scores[(scores["metric"] == CHANGE) & (scores["attribute"] != ALL)]
    change = own.pivot_table(index="attribute", columns="method", values="value", aggfunc="first")
    pair = change.reindex(columns=[SHUFFLED, RANDOM]).dropna()
    if len(pair) < LEAST_ATTRIBUTES:
        return Check(
            SHUFFLED, expected, f"{len(pair)} attributes, at least {LEAST_ATTRIBUTES} are needed to tell", None
        )
    p = flipped_signs(pair[SHUFFLED].to_numpy() - pair[RANDOM].to_numpy())
    means = [f"{name} {change[name].mean():+.3f}" for name in (RANDOM, TRUE_LABELS) if name in change]
    own = f"change {change[SHUFFLED].mean():+.3f}"
    return Check(SHUFFLED, expected, f"{', '.join([own, *means])}; p = {p:.2g}", p > LEVEL)


def flipped_signs(differences: np.ndarray) -> float:
    """Share of all 2^n assignments of signs to the differences (n) whose sum is at least theirs: one-sided, exact."""
    signs = 1 - 2 * (np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1)
    sums = signs @ differences
    return float((sums >= differences.sum() - 1e-12 * np.abs(differences).sum()).mean())
