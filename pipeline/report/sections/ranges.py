"""The calibrated range of every method and attribute."""

from __future__ import annotations

from typing import Any

from pipeline.report.contents import Contents
from pipeline.report.edit_means import range_ends
from pipeline.report.sections import PageSection


def range_lines(contents: Contents) -> list[dict[str, Any]]:
    """Rows of the table of ranges: RANGES with the displacement at each end, in the order of the tables."""
    if contents.ranges.empty:
        return []
    ends = range_ends(contents)
    order = {name: place for place, name in enumerate(contents.methods)}
    places = {name: place for place, name in enumerate(contents.attributes)}
    ends = ends.assign(_a=ends["attribute"].map(places), _m=ends["method"].map(order)).sort_values(["_a", "_m"])
    return ends.drop(columns=["_a", "_m"]).to_dict("records")


def _values(contents: Contents) -> dict[str, Any]:
    lines = range_lines(contents)
    return {"ranges": lines} if lines else {}


SECTION = PageSection(key="ranges", title="Ranges", order=52, template="ranges.html.j2", values=_values)
