"""Which level of matched change is shown where only one can be."""

from __future__ import annotations

import pandas as pd

from pipeline.metrics.base import MATCHED
from pipeline.report.contents import Contents

SHOWN_LEVEL = 1.0


def matched_scores(contents: Contents) -> pd.DataFrame:
    """The scores at matched change."""
    return contents.scores[contents.scores["protocol"] == MATCHED]


def shown_level(contents: Contents) -> float:
    """The level of the tables by attribute: the one next to SHOWN_LEVEL. NaN for a run without any."""
    levels = matched_scores(contents)["level"].dropna().unique().astype(float)
    return float(min(levels, key=lambda level: abs(level - SHOWN_LEVEL))) if len(levels) else float("nan")
