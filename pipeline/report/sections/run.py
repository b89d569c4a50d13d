"""What was run: sizes, methods, settings."""

from __future__ import annotations

from pipeline.report.contents import PROTOCOL_SIZES, Contents
from pipeline.report.method_facts import method_facts
from pipeline.report.sections import PageSection


def size_lines(contents: Contents) -> list[tuple[str, int, int]]:
    """(what, this run's size, the published protocol's size) of every size that the paper fixes."""
    return [(noun, getattr(contents.run, name), full) for name, (full, noun) in PROTOCOL_SIZES.items()]


SECTION = PageSection(
    key="run",
    title="What was run",
    order=100,
    template="run.html.j2",
    values=lambda contents: {"sizes": size_lines(contents), "methods": method_facts(contents)},
)
