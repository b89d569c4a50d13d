"""Tables of scores, from which every form of a report is made: attributes, metrics or levels x methods.

Nothing is computed here but which score is best: every number stands in the scores with its interval and its flag.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pipeline.metrics.base import noise_of
from pipeline.report.contents import Contents
from pipeline.report.judges import judge_line

IDENTITY = "identity_distance"
CHANGE = "attribute_change"
SECONDS = ("seconds_per_edit", "seconds_per_edit_and_synthesis")
ALL = "all"
ACRONYMS = {"fid": "FID", "kid": "KID", "lpips": "LPIPS", "ssim": "SSIM"}
ACRONYMS |= {"fid_same_codes": "FID, same codes", "kid_same_codes": "KID, same codes"}
ATTRIBUTES, METRICS, LEVELS = "attributes", "metrics", "levels"  # what the rows of a table are
ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Cell:
    """One score: its value, the ends of its 95 % interval (None where it has none), and its flag ("" for none).

    `best` marks the best of its row among competitors without a flag; `close`: not significantly different from it.
    """

    value: float
    low: float | None
    high: float | None
    flag: str
    n_faces: int
    n_images: int
    best: bool = False
    close: bool = False


@dataclass(frozen=True)
class Row:
    """Scores that may be compared with each other: one cell per column, None where a column has no such score.

    `metric` and `network`: what all its cells are of, where it says so. `mean`: over the attributes of the rows above.
    """

    name: str
    cells: tuple[Cell | None, ...]
    unit: str
    better: str
    decimals: int
    mean: bool = False
    metric: str = ""
    network: str = ""


@dataclass(frozen=True)
class ScoreTable:
    """Rows of scores under a title; `rows_are` says what a row is: one of ATTRIBUTES, METRICS and LEVELS."""

    title: str
    corner: str
    rows: tuple[Row, ...]
    rows_are: str

    @property
    def by_attribute(self) -> bool:
        """Whether a row is an attribute, so that all cells may be compared and sorted."""
        return self.rows_are == ATTRIBUTES

    @property
    def by_metric(self) -> bool:
        """Whether a row is a metric, each with a unit of its own."""
        return self.rows_are == METRICS

    @property
    def by_level(self) -> bool:
        """Whether a row is a level of its protocol: a narrow table, of which two fit next to each other."""
        return self.rows_are == LEVELS

    @property
    def flags(self) -> list[str]:
        """The distinct flags of the cells, in order of appearance: footnotes of the table."""
        cells = (cell for row in self.rows for cell in row.cells if cell is not None)
        return list(dict.fromkeys(cell.flag for cell in cells if cell.flag))

    @property
    def common_flag(self) -> str:
        """The flag that every cell has, to be said once; empty if there is none."""
        cells = [cell for row in self.rows for cell in row.cells if cell is not None]
        return cells[0].flag if len({cell.flag for cell in cells}) == 1 else ""

    @property
    def reasons(self) -> set[str]:
        """What is said against any of its scores, one reason each: flags join theirs with semicolons."""
        return {reason for flag in self.flags for reason in flag.split("; ")}


@dataclass(frozen=True)
class Grid(ScoreTable):
    """One table of a run: rows x methods, all of one domain; `network` judged it (`none` where no network did).

    key: its id on the page. metric: what every row is a score by; empty where rows differ in it. judge: what is known
    of that network's own error. folded: on the page it lies behind a click. markdown: whether Markdown shows it.
    """

    key: str
    domain: str
    network: str
    protocol: str
    methods: tuple[str, ...]
    controls: frozenset[str]
    metric: str = ""
    note: str = ""
    judge: str = ""
    folded: bool = False
    markdown: bool = True

    def of_methods(self, names: Sequence[str]) -> Grid:
        """The table with these methods alone, in this order, without methods that the run has not.

        The best of a row stays the best of all methods of the run.
        """
        chosen = tuple(name for name in names if name in self.methods)
        places = [self.methods.index(name) for name in chosen]
        rows = tuple(replace(row, cells=tuple(row.cells[place] for place in places)) for row in self.rows)
        return replace(self, methods=chosen, rows=rows)


def label(metric: str) -> str:
    """A metric's name as people write it."""
    return ACRONYMS.get(metric, metric.replace("_", " "))


def short(network: str, domain: str) -> str:
    """A network's name without the domain before it and the digest behind it."""
    return re.sub(r"-[0-9a-f]{8,}$", "", network.removeprefix(f"{domain}-"))


def decimals_for(values: Sequence[float]) -> int:
    """Decimals that show the largest of these values with about four digits (three below 1)."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    if not sizes:
        return 3
    magnitude = math.floor(math.log10(max(sizes)))
    return min(7, max(0, (3 if magnitude >= 0 else 2) - magnitude))


def number(value: float | None, decimals: int) -> str:
    """A value with that many decimals; a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if not float(text.replace(",", "")) else text


def optional(value: object) -> float | None:
    """A finite number as a float, else None."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def cell_values(score: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
    """The fields of a Cell from a row of scores."""
    return {
        "value": float(score["value"]),
        "low": optional(score["ci_low"]),
        "high": optional(score["ci_high"]),
        "flag": score["flag"] if isinstance(score["flag"], str) else "",
        "n_faces": int(score["n_faces"]),
        "n_images": int(score["n_images"]),
    }


def _overlap(one: Cell, other: Cell) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return max(one.low, other.low) <= min(one.high, other.high)


def mark_best(
    cells: Sequence[Cell | None],
    better: str,
    rivals: Sequence[bool],
    apart: Callable[[int, int], bool | None] = lambda one, other: None,
    noise: float = 0.0,
) -> tuple[Cell | None, ...]:
    """The cells with the best one (or several, equal but for the noise) marked, and cells that no test tells from it.

    `rivals` says which columns compete: controls do not. A flagged cell is never best, and one alone is no winner.
    `apart` says whether a test tells two columns apart; where it knows no test (None), overlapping intervals do not.
    """
    open_to = [
        cell
        for cell, rival in zip(cells, rivals, strict=True)
        if cell is not None and rival and not cell.flag and math.isfinite(cell.value)
    ]
    if better not in ARROWS or len(open_to) < 2:
        return tuple(cells)
    top = (min if better == "lower" else max)(cell.value for cell in open_to)
    winner = next(cell for cell in open_to if cell.value == top)
    won = next(place for place, cell in enumerate(cells) if cell is winner)
    marked: list[Cell | None] = []
    for place, cell in enumerate(cells):
        if cell is not None and any(cell is other for other in open_to):
            best, tested = abs(cell.value - top) <= noise, apart(place, won)
            together = _overlap(cell, winner) if tested is None else not tested
            cell = replace(cell, best=best, close=not best and together)
        marked.append(cell)
    return tuple(marked)


def row_of(contents: Contents, scores: pd.DataFrame, name: str, decimals: int, *, mean: bool = False) -> Row:
    """The row of some scores, at most one per method, with the best marked."""
    by_method = {score["method"]: Cell(**cell_values(score)) for _, score in scores.iterrows()}
    methods = contents.methods
    better = str(scores["better"].iloc[0])
    of = tuple(scores[["protocol", "metric", "network", "attribute"]].iloc[0])

    def apart(one: int, other: int) -> bool | None:
        return contents.told_apart.get((*of, methods[one], methods[other]))

    rivals = [method not in contents.controls for method in methods]
    cells = mark_best([by_method.get(method) for method in methods], better, rivals, apart, noise_of(of[1]))
    return Row(name, cells, str(scores["unit"].iloc[0]), better, decimals, mean, metric=of[1], network=of[2])


def grid_of(
    contents: Contents,
    scores: pd.DataFrame,
    key: str,
    title: str,
    rows: list[Row],
    rows_are: str = ATTRIBUTES,
    **more: Any,
) -> Grid:
    """The table of those rows, which shows these scores; `more` are further fields of Grid."""
    networks, metrics = (list(dict.fromkeys(scores[name])) for name in ("network", "metric"))
    corner = {ATTRIBUTES: "attribute", METRICS: "metric", LEVELS: "level"}[rows_are]
    return Grid(
        key=key,
        title=title,
        domain=contents.run.domain,
        network=", ".join(networks),
        protocol=", ".join(dict.fromkeys(scores["protocol"])),
        methods=tuple(contents.methods),
        controls=contents.controls,
        rows=tuple(rows),
        rows_are=rows_are,
        metric=metrics[0] if len(metrics) == 1 else "",
        judge=judge_line(contents.judges, networks[0]) if len(networks) == 1 else "",
        **{"corner": corner} | more,
    )


def attribute_grid(contents: Contents, scores: pd.DataFrame, key: str, title: str, **more: Any) -> Grid:
    """Attributes x methods for the scores of one metric by one network; the row of `all` is last, as the mean."""
    decimals = decimals_for(scores["value"].tolist())
    names = [name for name in contents.attributes if (scores["attribute"] == name).any()]
    rows = [row_of(contents, scores[scores["attribute"] == name], name, decimals) for name in names]
    overall = scores[scores["attribute"] == ALL]
    if len(overall):
        rows.append(row_of(contents, overall, "mean" if rows else ALL, decimals, mean=bool(rows)))
    return grid_of(contents, scores, key, title, rows, **more)


def level_grid(contents: Contents, scores: pd.DataFrame, key: str, title: str, form: str = "g", **more: Any) -> Grid:
    """Levels x methods for the scores of one metric over all attributes; `form` is how a level is written."""
    decimals = decimals_for(scores["value"].dropna().tolist())
    levels = sorted(scores["level"].unique())
    rows = [row_of(contents, scores[scores["level"] == level], f"{level:{form}}", decimals) for level in levels]
    return grid_of(contents, scores, key, title, rows, LEVELS, **more)


def metric_grid(
    contents: Contents, metrics: Sequence[str], key: str, title: str, protocol: str, **more: Any
) -> Grid | None:
    """Metrics x methods over all attributes, in the order of `metrics`; None for a run without any of these scores."""
    scores = contents.scores
    chosen = scores[scores["metric"].isin(metrics) & (scores["attribute"] == ALL) & (scores["protocol"] == protocol)]
    rows = []
    for metric in metrics:
        for network, part in chosen[chosen["metric"] == metric].groupby("network", sort=False):
            several = chosen[chosen["metric"] == metric]["network"].nunique() > 1
            name = f"{label(metric)} ({network})" if several else label(metric)
            rows.append(row_of(contents, part, name, decimals_for(part["value"].tolist())))
    return grid_of(contents, chosen, key, title, rows, METRICS, **more) if rows else None


def titled(metric: str) -> str:
    """A metric's name as a title begins with it."""
    name = label(metric)
    return name[0].upper() + name[1:]


def doubtful(grids: Sequence[Grid]) -> list[Grid]:
    """The grids with a flag's reason that not all of these grids share."""
    shared = set.intersection(*(grid.reasons for grid in grids)) if grids else set()
    return [grid for grid in grids if grid.reasons - shared]
