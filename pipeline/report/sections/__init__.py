"""The sections of a run's page. A module of this folder with a SECTION is one; nothing else lists it.

`PageSection.order` gives its position: 10 verdict, 20 viewer, 30 identity against change, 40 to 56 protocol by
protocol, 60 the papers' tables, 70 claims, 75 regions, 80 failures, 85 the run before, 90 how sure, 100 to 116
provenance and data. The page shows every section that has something to show of the run; Markdown shows its tables with
`Grid.markdown`, and `latentbench report --table` prints any by name. So a new protocol's section is one file here; it
needs a template, in the same folder, only for what is neither a table of scores nor a chart.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.report.charts.chart import Chart
from pipeline.report.contents import Contents
from pipeline.report.grids import Grid

TABLES = "tables.html.j2"  # the template of a section of tables and charts


@dataclass(frozen=True)
class TextTable:
    """A table of texts for Markdown, under its own title."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PageSection:
    """One section of the page.

    key: its id on the page; no other section has it. order: the page's sections stand by it, from the smallest.
    protocol: the protocol whose scores it shows, all of them. lede: a sentence or two above the tables. tables, charts:
    what the template TABLES shows. values: the values of a template of its own. A section for which all are empty
    is left out. links: (id, title) of the entries below its own in the page's contents; links_in_line: on one line.
    folded_title: of its folded tables. For Markdown alone: lists, tables of texts; remark, a sentence above the tables;
    markdown_title and markdown_order, where they differ from the page's.
    """

    key: str
    title: str
    order: int
    protocol: str = ""
    lede: str = ""
    tables: Callable[[Contents], Sequence[Grid]] = lambda contents: ()
    charts: Callable[[Contents], Sequence[Chart]] = lambda contents: ()
    values: Callable[[Contents], Mapping[str, Any]] = lambda contents: {}
    template: str = TABLES
    links: Callable[[Contents], Sequence[tuple[str, str]]] = lambda contents: ()
    links_in_line: bool = False
    lists: Callable[[Contents], Sequence[TextTable]] = lambda contents: ()
    remark: Callable[[Contents], str] = lambda contents: ""
    markdown_title: str = ""
    markdown_order: int | None = None
    folded_title: str = ""


def sections() -> list[PageSection]:
    """Every section, in the order of the page. Raises ValueError for two of one key."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = [getattr(import_module(f"{__name__}.{name}"), "SECTION", None) for name in names]
    known = sorted((section for section in found if section is not None), key=lambda section: section.order)
    keys = [section.key for section in known]
    if len(set(keys)) != len(keys):
        raise ValueError(f"Two sections of the page have one key: {', '.join(keys)}.")
    return known


def template_folders() -> list[Path]:
    """Where the sections' templates lie."""
    return [Path(folder) for folder in __path__]
