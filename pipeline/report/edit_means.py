"""Means over faces of a run's edits, step by step along the calibrated ranges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.attributes import index_of
from pipeline.report.contents import Contents
from pipeline.tables.schemas import VALUE_COLUMNS


def attribute_change(edits: pd.DataFrame) -> pd.Series:
    """Per edit, the edited attribute's change by scorer B: its value on the edit less that on the unedited image."""
    values = edits[list(VALUE_COLUMNS)].to_numpy(np.float64)
    columns = {name: index_of(name) for name in edits["attribute"].unique()}
    chosen = edits["attribute"].map(columns).to_numpy(np.intp)
    return pd.Series(values[np.arange(len(edits)), chosen], index=edits.index) - edits["start_value"].astype(float)


def step_means(edits: pd.DataFrame, identities: Sequence[str]) -> pd.DataFrame:
    """Means over the faces of each (method, attribute, step): strength, displacement, detected, change, identities.

    `identities` name identity columns of EDITS; they and `change` (signed) are over the images on which a face was
    found, as in the scores.
    """
    frame = edits[["method", "attribute", "step", "strength", "displacement", "detected"]].copy()
    frame["change"] = attribute_change(edits).where(edits["detected"])
    for name in identities:
        frame[name] = edits[name].where(edits["detected"])
    return frame.groupby(["method", "attribute", "step"], sort=False).mean(numeric_only=True).reset_index()


def range_ends(contents: Contents) -> pd.DataFrame:
    """RANGES with the mean displacement over faces at each end of the range (`low_moved`, `high_moved`).

    Displacement, in mean distances of two random w, is the one unit that all methods share.
    """
    means = contents.edits.groupby(["method", "attribute", "step"], sort=False)["displacement"].mean().reset_index()
    grouped = means.sort_values("step").groupby(["method", "attribute"], sort=False)["displacement"]
    ends = pd.DataFrame({"low_moved": grouped.first(), "high_moved": grouped.last()}).reset_index()
    return contents.ranges.merge(ends, on=["method", "attribute"], how="left")
