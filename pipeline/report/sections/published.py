"""Numbers that papers printed, next to this run's."""

from __future__ import annotations

from typing import Any

from pipeline.report.contents import Contents
from pipeline.report.paper_numbers import papers_of
from pipeline.report.sections import PageSection


def _values(contents: Contents) -> dict[str, Any]:
    papers = papers_of(contents)
    return {"published": papers} if papers else {}


SECTION = PageSection(
    key="published",
    title="Next to published numbers",
    order=64,
    template="published.html.j2",
    values=_values,
)
