"""How to cite the run and the methods in it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline.report.contents import Contents
from pipeline.report.method_facts import method_facts
from pipeline.report.sections import PageSection


def papers(contents: Contents) -> list[tuple[str, str, list[str]]]:
    """(title, venue, methods) of every paper whose method this run has, each once."""
    found: dict[tuple[str, str], list[str]] = {}
    for method in method_facts(contents):
        if method.paper and not method.control:
            venue = method.venue if method.venue != "none" else ""
            found.setdefault((method.paper, venue), []).append(method.name)
    return [(*paper, methods) for paper, methods in found.items()]


def _values(contents: Contents) -> dict[str, Any]:
    try:
        of_package = version("latentbench")
    except PackageNotFoundError:
        of_package = ""
    return {"papers": papers(contents), "version": of_package}


SECTION = PageSection(key="cite", title="How to cite", order=106, template="cite.html.j2", values=_values)
