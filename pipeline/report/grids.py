"""The tables of a run: the L2L paper's (identity, quality, seconds) and one of the same layout for every other score.

Rows are attributes or metrics, columns are methods, as in the paper (Khodadadeh et al., WACV 2022). Nothing is
computed here but which score is best: every number stands in the scores with its interval and its flag.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.metrics.base import CONSISTENCY, MATCHED, PAPER, PERCEPTION, RATES, noise_of
from pipeline.report.contents import Contents
from pipeline.report.judges import judge_line

IDENTITY = "identity_distance"
CHANGE = "attribute_change"
INCEPTION = ("inception_score", "inception_score_spread", "inception_score_difference")
QUALITY = ("kid_same_codes", "fid_same_codes", "kid", "fid", *INCEPTION)
SECONDS = ("seconds_per_edit", "seconds_per_edit_and_synthesis")
ALL = "all"
ACRONYMS = {"fid": "FID", "kid": "KID", "lpips": "LPIPS", "ssim": "SSIM"}
ACRONYMS |= {"fid_same_codes": "FID, same codes", "kid_same_codes": "KID, same codes"}
ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Cell:
    """One score: its value, the ends of its 95 % interval (None where it has none), and its flag ("" for none).

    `best` marks the best of its row among competitors without a flag; `close` one that cannot be told from the best.
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
    """Scores that may be compared with each other: one cell per method, None where a method has no such score."""

    name: str
    cells: tuple[Cell | None, ...]
    unit: str
    better: str
    decimals: int
    mean: bool = False


@dataclass(frozen=True)
class Grid:
    """One table: rows x methods, all of one domain; `network` judged it (`none` where no network did).

    `judge` says what is known of that network's own error.
    """

    key: str
    title: str
    domain: str
    network: str
    protocol: str
    corner: str
    methods: tuple[str, ...]
    controls: frozenset[str]
    rows: tuple[Row, ...]
    note: str = ""
    judge: str = ""

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


def _optional(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _cell(score: pd.Series) -> Cell:
    return Cell(
        value=float(score["value"]),
        low=_optional(score["ci_low"]),
        high=_optional(score["ci_high"]),
        flag=score["flag"] if isinstance(score["flag"], str) else "",
        n_faces=int(score["n_faces"]),
        n_images=int(score["n_images"]),
    )


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
    """The cells with the best one (or several, equal but for the noise) marked, and those not told apart from it.

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
    by_method = {score["method"]: _cell(score) for _, score in scores.iterrows()}
    methods = contents.methods
    better = str(scores["better"].iloc[0])
    of = tuple(scores[["protocol", "metric", "network", "attribute"]].iloc[0])

    def apart(one: int, other: int) -> bool | None:
        return contents.told_apart.get((*of, methods[one], methods[other]))

    rivals = [method not in contents.controls for method in methods]
    cells = mark_best([by_method.get(method) for method in methods], better, rivals, apart, noise_of(of[1]))
    return Row(name, cells, str(scores["unit"].iloc[0]), better, decimals, mean)


def grid_of(contents: Contents, scores: pd.DataFrame, key: str, title: str, rows: list[Row], **texts: str) -> Grid:
    """The table of those rows, which shows these scores; `texts` are its corner and note."""
    networks = list(dict.fromkeys(scores["network"]))
    return Grid(
        key=key,
        title=title,
        domain=contents.run.domain,
        network=", ".join(networks),
        protocol=", ".join(dict.fromkeys(scores["protocol"])),
        methods=tuple(contents.methods),
        controls=contents.controls,
        rows=tuple(rows),
        corner=texts.get("corner", "attribute"),
        note=texts.get("note", ""),
        judge=judge_line(contents.judges, networks[0]) if len(networks) == 1 else "",
    )


def attribute_grid(contents: Contents, scores: pd.DataFrame, key: str, title: str, note: str = "") -> Grid:
    """Attributes x methods for the scores of one metric by one network; the row of `all` is last, as the mean."""
    decimals = decimals_for(scores["value"].tolist())
    names = [name for name in contents.attributes if (scores["attribute"] == name).any()]
    rows = [row_of(contents, scores[scores["attribute"] == name], name, decimals) for name in names]
    overall = scores[scores["attribute"] == ALL]
    if len(overall):
        rows.append(row_of(contents, overall, "mean" if rows else ALL, decimals, mean=bool(rows)))
    return grid_of(contents, scores, key, title, rows, note=note)


def _metric_grid(
    contents: Contents, metrics: Sequence[str], key: str, title: str, note: str = "", protocol: str = PAPER
) -> Grid | None:
    scores = contents.scores
    chosen = scores[scores["metric"].isin(metrics) & (scores["attribute"] == ALL) & (scores["protocol"] == protocol)]
    rows = []
    for metric in metrics:
        for network, part in chosen[chosen["metric"] == metric].groupby("network", sort=False):
            several = chosen[chosen["metric"] == metric]["network"].nunique() > 1
            name = f"{label(metric)} ({network})" if several else label(metric)
            rows.append(row_of(contents, part, name, decimals_for(part["value"].tolist())))
    return grid_of(contents, chosen, key, title, rows, corner="metric", note=note) if rows else None


def identity_grids(contents: Contents) -> list[Grid]:
    """The paper's identity table, once per network that judged.

    MTCNN's features, the paper's own, come first; networks come last against which more is said than against all, such
    as one that a method was trained with.
    """
    scores = contents.scores
    chosen = scores[(scores["metric"] == IDENTITY) & (scores["protocol"] == PAPER)]
    grids = []
    for network in chosen["network"].unique():
        papers = "mtcnn" in network
        name = short(network, contents.run.domain)
        title = "Identity distance, the paper's measure" if papers else f"Identity distance, by {name}"
        note = (
            "A method that hardly edits keeps the identity: read this table beside the attribute change and the "
            "curves below."
        )
        part = chosen[chosen["network"] == network]
        grids.append(attribute_grid(contents, part, f"identity-{network}", title, note if papers else ""))
    return sorted(grids, key=lambda grid: (grid in doubtful(grids), "mtcnn" not in grid.network))


def doubtful(grids: Sequence[Grid]) -> list[Grid]:
    """Those of some grids against which more is said than against every one of them."""
    shared = set.intersection(*(grid.reasons for grid in grids)) if grids else set()
    return [grid for grid in grids if grid.reasons - shared]


def quality_grid(contents: Contents) -> Grid | None:
    """The paper's quality table: KID and FID against the same codes and against samples, and inception scores."""
    note = (
        "The paper's \"ISD\" is not defined there; an inception score and its difference from the reference's are "
        "two quantities here and two rows. Few faces edited many times are not many samples: FID and KID mostly "
        "measure that, and are worst for a method that does nothing. KID against the same codes unedited is unbiased "
        "with any number of faces and 0 for doing nothing: read quality by it, beside the attribute change."
    )
    return _metric_grid(contents, QUALITY, "quality", "Image quality against unedited images", note)


def seconds_grid(contents: Contents) -> Grid | None:
    """The paper's table of seconds per edit."""
    note = "One face at a time, warm; seconds depend on the machine named under Provenance."
    return _metric_grid(contents, SECONDS, "seconds", "Seconds per edit", note)


def perception_grid(contents: Contents) -> Grid | None:
    """The LLF paper's table: SSIM, LPIPS and FID of each method."""
    note = "The measures of the LLF paper, of the images of the tables above: the same scores under another name."
    title = "Perception, the LLF paper's measures"
    return _metric_grid(contents, ("ssim", "lpips", "fid"), "perception", title, note, PERCEPTION)


def paper_tables(contents: Contents) -> list[Grid]:
    """The tables that the paper prints, in its order and layout."""
    further = (quality_grid(contents), seconds_grid(contents))
    return [*identity_grids(contents), *(grid for grid in further if grid is not None)]


def further_tables(contents: Contents) -> list[Grid]:
    """Every other metric of every protocol, attributes x methods: a new metric appears here by itself.

    Without those of protocols that have a section of their own (`pipeline.report.matched_change`, `rated`). The
    attribute change, without which no identity distance can be read, comes first; the LLF paper's table last.
    """
    scores = contents.scores
    papers = scores["metric"].isin([IDENTITY, *QUALITY, *SECONDS]) & (scores["protocol"] == PAPER)
    per_attribute = scores["metric"].isin([*QUALITY, *SECONDS]) & (scores["attribute"] != ALL)
    rest = scores[(~papers | per_attribute) & ~scores["protocol"].isin([MATCHED, RATES, CONSISTENCY, PERCEPTION])]
    grids = []
    for (protocol, metric, network), part in rest.groupby(["protocol", "metric", "network"], sort=False):
        title = label(metric)[0].upper() + label(metric)[1:]
        if metric in (*QUALITY, *SECONDS):
            title += " of each attribute"
        grids.append(attribute_grid(contents, part, f"{protocol}-{metric}-{network}", title))
    grids.sort(key=lambda grid: not grid.key.startswith(f"{PAPER}-{CHANGE}-"))
    perception = perception_grid(contents)
    return grids if perception is None else [*grids, perception]
