"""The section of the protocol."""

from __future__ import annotations

from pipeline.report.contents import Contents
from pipeline.report.grids import Grid, metric_grid
from pipeline.report.sections import PageSection
from tests.builders.toy_protocol.metric import PROTOCOL


def tables(contents: Contents) -> list[Grid]:
    """Its one table; none for a run without the protocol."""
    grid = metric_grid(contents, ("farthest_displacement",), "farthest", "How far edits go at most", PROTOCOL)
    return [] if grid is None else [grid]


SECTION = PageSection(
    key="farthest-edit",
    title="The farthest edits",
    order=65,
    protocol=PROTOCOL,
    lede="The farthest edit of every face.",
    tables=tables,
)
