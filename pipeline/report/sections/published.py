"""Numbers that papers printed, set beside this run's."""

from __future__ import annotations

from typing import Any

from pipeline.report.contents import Contents
from pipeline.report.paper_numbers import beside
from pipeline.report.sections import Section


def _values(contents: Contents) -> dict[str, Any]:
    found = beside(contents)
    return {"published": found} if found else {}


SECTION = Section(
    key="published",
    title="Beside published numbers",
    order=30,
    template="published.html.j2",
    values=_values,
)
