"""How to query the published tables."""

from __future__ import annotations

from pipeline.report.sections import PageSection
from pipeline.tables.schemas import PUBLISHED

SECTION = PageSection(
    key="query",
    title="Query the tables",
    order=116,
    template="query.html.j2",
    values=lambda contents: {"tables_published": list(PUBLISHED)},
)
