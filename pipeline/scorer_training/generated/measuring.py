"""Held-out figures of a scorer of photoface, and the attributes that it knows by them.

Yes-or-no labels are judged by AUC, continuous ones by R2, as for scorers of photographs. Grades (none, some, clear) are
judged by AUC of any against none: R2 would ask for equal steps, which the grades do not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from pipeline.attributes import INDEX, NAMES
from pipeline.scorer_training.generated.readers import READ
from pipeline.scorer_training.labels import is_yes_or_no

VALIDATION_SHARE = 0.2
FLOOR_R2, FLOOR_AUC = 0.5, 0.8
GRADED = ("beard", "moustache", "sideburns", "baldness")
NO_LABEL = "no network of the two packages reads it, and it was not looked for"
MEASURED_ON = "validation"


@dataclass(frozen=True)
class Judged:
    """The attributes known, the others with reasons, and the figures as a card has them."""

    known: list[str]
    left_out: dict[str, str]
    measured: dict[str, Any]


def judge(found: np.ndarray, truth: np.ndarray, all_values: np.ndarray, floor_r2: float, floor_auc: float) -> Judged:
    """Figures of values found (n, 35) against the truth (n, 35), NaN where unknown.

    `all_values` (N, 35), of training too, say which attributes are yes or no.
    """
    from pipeline.scorer_training.training.figures import figures_of, judged_by_auc, known_attributes, means

    table = figures_of(found, truth, judged_by_auc(is_yes_or_no(all_values)))
    for name, row in table.items():
        known = ~np.isnan(truth[:, INDEX[name]])
        pair = found[known, INDEX[name]], truth[known, INDEX[name]]
        varies = min(np.ptp(pair[0]), np.ptp(pair[1])) > 0
        row["correlation"] = round(float(np.corrcoef(*pair)[0, 1]), 4) if varies else None
        if name in GRADED:
            any_at_all = pair[1] > 0
            both = 0 < any_at_all.sum() < len(any_at_all)
            row["auc"] = round(float(roc_auc_score(any_at_all, pair[0])), 4) if both else None
            row["n_positive"] = int(any_at_all.sum())
        row["labels"] = "networks" if name in READ else "formulas" if name in ("blur", "exposure", "noise") else "eye"
    known_names, left_out = known_attributes(table, floor_r2, floor_auc)
    for name in set(NAMES) - set(table):
        left_out[name] = NO_LABEL
    ordered = {name: left_out[name] for name in NAMES if name in left_out}
    measured = {MEASURED_ON: table, f"n_{MEASURED_ON}": len(truth), **means(table, known_names)}
    return Judged(known_names, ordered, measured)
