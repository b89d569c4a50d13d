"""Validation figures of a scorer, and the attributes it reads well enough to report."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.metrics import r2_score, roc_auc_score

from pipeline.attributes import ATTRIBUTES, NAMES
from pipeline.networks.scorer import Scorer
from pipeline.scorer_training.training.pixels import Pixels

BATCH = 128
LEAST = 10  # smallest number of an attribute's validation labels
LEAST_OF_EACH = 3  # smallest number of positive and of negative labels of a yes-or-no attribute

Figures = dict[str, dict[str, Any]]


@torch.no_grad()
def values_of(scorer: Scorer, pixels: Pixels, rows: np.ndarray, device: torch.device) -> np.ndarray:
    """A scorer's values (n, 35) for the pictures in some rows."""
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return torch.cat([scorer(pixels.batch(part).to(device)).cpu() for part in parts]).numpy()


def figures_of(predicted: np.ndarray, truth: np.ndarray, yes_or_no: np.ndarray) -> Figures:
    """Per attribute with validation labels: their number n and mean, R2, and AUC for yes-or-no attributes.

    `predicted` and `truth` are (n, 35), the truth NaN where unknown; `yes_or_no` is (35,) bool. R2 is None if all
    labels are the same, AUC if all are on one side of 0.5.
    """
    table: Figures = {}
    for index, name in enumerate(NAMES):
        known = ~np.isnan(truth[:, index])
        if not known.any():
            continue
        values, true = predicted[known, index], truth[known, index]
        row: dict[str, Any] = {"n": int(known.sum()), "mean": round(float(true.mean()), 4)}
        row["r2"] = round(float(r2_score(true, values)), 4) if np.ptp(true) > 0 else None
        if yes_or_no[index]:
            positive = true > 0.5
            both = 0 < positive.sum() < len(positive)
            row["auc"] = round(float(roc_auc_score(positive, values)), 4) if both else None
            row["n_positive"] = int(positive.sum())
        table[name] = row
    return table


def judged_by_auc(labels_are_yes_or_no: np.ndarray) -> np.ndarray:
    """(35,) bool: binary attributes, and attributes with only yes-or-no labels in this source."""
    return labels_are_yes_or_no | np.array([attribute.kind == "binary" for attribute in ATTRIBUTES])


def known_attributes(figures: Figures, floor_r2: float, floor_auc: float) -> tuple[list[str], dict[str, str]]:
    """The attributes that reach their floor, in order, and the reasons for the others."""
    reasons = {name: _reason(figures.get(name), floor_r2, floor_auc) for name in NAMES}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    return [name for name in NAMES if name not in left_out], left_out


def _reason(row: dict[str, Any] | None, floor_r2: float, floor_auc: float) -> str:
    """The reason for leaving an attribute out; empty if it reaches its floor."""
    if row is None:
        return "no validation labels"
    if row["n"] < LEAST:
        return f"{row['n']} validation labels, expected at least {LEAST}"
    if "auc" in row:
        fewer = min(row["n_positive"], row["n"] - row["n_positive"])
        if fewer < LEAST_OF_EACH:
            side = "positive" if row["n_positive"] == fewer else "negative"
            return f"{fewer} {side} validation labels, expected at least {LEAST_OF_EACH}"
        return "" if row["auc"] >= floor_auc else f"AUC {row['auc']:.3f} is below the floor of {floor_auc:g}"
    if row["r2"] is None:
        return "all validation labels are the same"
    return "" if row["r2"] >= floor_r2 else f"R2 {row['r2']:.3f} is below the floor of {floor_r2:g}"


def means(figures: Figures, known: list[str]) -> dict[str, float | None]:
    """Mean AUC over the known attributes with an AUC, and mean R2 over the other known attributes."""
    by_auc = [figures[name]["auc"] for name in known if "auc" in figures[name]]
    by_r2 = [figures[name]["r2"] for name in known if "auc" not in figures[name]]
    return {
        "r2_mean": round(float(np.mean(by_r2)), 4) if by_r2 else None,
        "auc_mean": round(float(np.mean(by_auc)), 4) if by_auc else None,
    }
