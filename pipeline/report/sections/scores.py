"""Every score of the run, as in scores.parquet."""

from __future__ import annotations

from pipeline.report.sections import PageSection

SECTION = PageSection(
    key="all",
    title="Every score",
    order=112,
    template="scores.html.j2",
    values=lambda contents: {"scores": contents.scores.to_dict("records")},
)
