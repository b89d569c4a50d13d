"""Numbers that papers printed, next to ours: in reports of domains with the paper's codes alone.

`paper_numbers.toml` holds them, each table with its source, and every known difference of protocol. They are never rows
of our tables, and no test compares them with ours.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.attributes import EVALUATED
from pipeline.errors import LatentbenchError, UnknownNameError
from pipeline.metrics import base as metrics
from pipeline.metrics.base import PAPER
from pipeline.report.contents import PAPERS_ROLE, Contents
from pipeline.report.grids import ALL, IDENTITY, decimals_for, number

FILE = Path(__file__).with_name("paper_numbers.toml")
BETTER = ("lower", "higher", "neither")


class PaperNumbersError(LatentbenchError):
    """A file of published numbers with a field that is missing, unknown or of another type."""


@dataclass(frozen=True)
class Difference:
    """One thing that the paper did in another way than we do, or does not tell."""

    what: str
    paper: str
    ours: str


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper: rows by attribute (or `all`), a value for each of the paper's methods, as printed.

    `metric` is our metric of that name, empty where we have none.
    """

    key: str
    title: str
    metric: str
    unit: str
    better: str
    decimals: int
    source: str
    rows: dict[str, list[float]]


@dataclass(frozen=True)
class PrintedPaper:
    """A paper's tables; `methods` are the paper's names of methods with ours, in the order of the columns.

    Runs of the domains `domains` show it.
    """

    key: str
    title: str
    authors: str
    venue: str
    url: str
    domains: list[str]
    read_from: str
    methods: dict[str, str]
    differences: list[Difference]
    tables: list[PaperTable]


@dataclass(frozen=True)
class Column:
    """A method: the paper's name of it and ours."""

    printed: str
    method: str


@dataclass(frozen=True)
class Line:
    """A row as the page shows it: its name, and per column the paper's value, ours, its interval and its flag."""

    name: str
    cells: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True)
class SideBySide:
    """A table of a paper next to ours; `network` judged ours, empty where we have no such number."""

    table: PaperTable
    network: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class PaperNextToRun:
    """A paper and its tables next to a run's."""

    paper: PrintedPaper
    tables: tuple[SideBySide, ...]


def read_papers(path: Path = FILE) -> list[PrintedPaper]:
    """Every paper of a file. Raises PaperNumbersError, naming paper and key, for one that is not as it must be."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PaperNumbersError(f"{path} cannot be read: {error}") from error
    papers = found.pop("paper", [])
    if found or not papers:
        raise PaperNumbersError(f"{path}: expected [[paper]] sections alone, found {', '.join(found) or 'none'}.")
    return [_paper(path, dict(paper)) for paper in papers]


def papers_of(contents: Contents, papers: list[PrintedPaper] | None = None) -> list[PaperNextToRun]:
    """The papers of the run's domain, with its scores; none for another domain or a run with stand-ins."""
    papers = read_papers() if papers is None else papers
    return [
        PaperNextToRun(paper, tuple(_side_by_side(contents, paper, table) for table in paper.tables))
        for paper in papers
        if contents.run.domain in paper.domains and not contents.stand_ins
    ]


# Checking


def _paper(path: Path, paper: dict[str, Any]) -> PrintedPaper:
    where = f"{path}: paper {paper.get('key', 'without a key')}"
    tables = [_table(f"{where}, table {one.get('key', 'without a key')}", one) for one in paper.pop("table", [])]
    differences = [_made(Difference, f"{where}, differences", one) for one in paper.pop("differences", [])]
    made: PrintedPaper = _made(PrintedPaper, where, paper | {"tables": tables, "differences": differences})
    if not tables or not differences or not made.methods or not made.domains:
        raise PaperNumbersError(
            f"{where}: expected tables, methods, domains and differences of protocol, found none of one of them."
        )
    for table in tables:
        for name, values in table.rows.items():
            if len(values) != len(made.methods):
                raise PaperNumbersError(
                    f"{where}, table {table.key}: row {name} has {len(values)} values for {len(made.methods)} methods."
                )
    return made


def _table(where: str, table: dict[str, Any]) -> PaperTable:
    made: PaperTable = _made(PaperTable, where, table)
    if made.better not in BETTER:
        raise PaperNumbersError(f"{where}: better: expected {', '.join(BETTER)}, found {made.better!r}.")
    if made.metric:
        metrics.get(made.metric)
    for name, values in made.rows.items():
        if name not in (*EVALUATED, ALL):
            raise UnknownNameError(f"attribute in {where}", name, (*EVALUATED, ALL))
        if not all(isinstance(value, float) and math.isfinite(value) for value in values):
            raise PaperNumbersError(f"{where}: row {name}: expected numbers with a decimal point, found {values}.")
    return made


def _made(kind: Any, where: str, values: dict[str, Any]) -> Any:
    """A dataclass of these values: every field there, of its kind, not empty, and nothing else."""
    known = {field.name: field.type for field in fields(kind)}
    missing, extra = sorted(set(known) - set(values)), sorted(set(values) - set(known))
    if missing or extra:
        raise PaperNumbersError(
            f"{where}: lacks {', '.join(missing) or 'nothing'}, has unknown {', '.join(extra) or '-'}."
        )
    for name, value in values.items():
        if known[name] == "str" and (not isinstance(value, str) or (not value and name != "metric")):
            raise PaperNumbersError(f"{where}: {name}: expected a text, found {value!r}.")
        if known[name] == "int" and not isinstance(value, int):
            raise PaperNumbersError(f"{where}: {name}: expected a whole number, found {value!r}.")
    return kind(**values)


# Side by side


def _side_by_side(contents: Contents, paper: PrintedPaper, table: PaperTable) -> SideBySide:
    columns = tuple(Column(printed, method) for printed, method in paper.methods.items())
    scores = contents.scores
    own = scores[(scores["metric"] == table.metric) & (scores["protocol"] == PAPER)]
    own = own[own["attribute"].isin(list(table.rows)) & own["method"].isin(list(paper.methods.values()))]
    networks = [str(name) for name in own["network"].unique()]
    if table.metric == IDENTITY:
        networks = [name for name in networks if contents.has_role(name, PAPERS_ROLE)]
    network = networks[0] if networks else ""
    own = own[own["network"] == network]
    decimals = max(table.decimals, decimals_for(own["value"].tolist())) if len(own) else table.decimals
    lines = []
    for name, values in table.rows.items():
        part = own[own["attribute"] == name]
        cells = [
            (number(value, table.decimals), *_ours(part[part["method"] == column.method], decimals))
            for column, value in zip(columns, values, strict=True)
        ]
        lines.append(Line(name, tuple(cells)))
    return SideBySide(table, network, columns, tuple(lines))


def _ours(scores: pd.DataFrame, decimals: int) -> tuple[str, str, str]:
    """Our value, its interval and what is said against it; a dash and nothing where the run has none."""
    if scores.empty:
        return "–", "", ""
    score = scores.iloc[0]
    known = not (pd.isna(score["ci_low"]) or pd.isna(score["ci_high"]))
    interval = f"{number(score['ci_low'], decimals)} to {number(score['ci_high'], decimals)}" if known else ""
    return number(score["value"], decimals), interval, score["flag"] if isinstance(score["flag"], str) else ""
