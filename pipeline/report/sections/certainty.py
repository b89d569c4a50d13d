"""How sure the tables are, as the page shows it: controls, ranks with intervals, differences of pairs, the judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.attributes import EVALUATED
from pipeline.metrics.base import ALL, LOCALITY, PAPER
from pipeline.report.contents import Contents
from pipeline.report.controls import Check, control_checks
from pipeline.report.grids import ARROWS, decimals_for, label, number, short
from pipeline.report.judges import OF_LOGITS
from pipeline.report.sections import PageSection, TextTable


@dataclass(frozen=True)
class Place:
    """A method's rank by one metric: the rank, its interval, what the tests leave, the chance of being first."""

    rank: int | None
    low: int | None
    high: int | None
    tested_low: int
    tested_high: int
    first: float | None
    flag: str


@dataclass(frozen=True)
class MetricRanks:
    """The ranks of every method by one metric and network, over all attributes; `places` in the methods' order."""

    title: str
    network: str
    arrow: str
    places: tuple[Place | None, ...]


@dataclass(frozen=True)
class Certainty:
    """The section of the page. `few` says that no difference can be significant with this run's faces."""

    checks: list[Check]
    standings: list[MetricRanks]
    differences: list[dict[str, Any]]
    judges: list[dict[str, Any]]
    counted: str
    few: str


def certainty(contents: Contents) -> Certainty:
    """What the page says of certainty; its lists are empty for a run that was published before the tables existed."""
    return Certainty(
        checks=control_checks(contents.scores),
        standings=standings(contents),
        differences=difference_lines(contents),
        judges=judge_lines(contents),
        counted=counted(contents),
        few=few(contents.differences, 1 - contents.run.experiment.get("confidence", 0.95)),
    )


def standings(contents: Contents) -> list[MetricRanks]:
    """Ranks over all attributes on the grid over ranges, one standing per metric and network."""
    ranks = contents.ranks
    chosen = ranks[(ranks["attribute"] == ALL) & ranks["protocol"].isin([PAPER, LOCALITY])]
    better = contents.scores.drop_duplicates("metric").set_index("metric")["better"]
    found = []
    for (metric, network), part in chosen.groupby(["metric", "network"], sort=False):
        rows = {row["method"]: _place(row) for row in part.to_dict("records")}
        places = tuple(rows.get(method) for method in contents.methods)
        name = "" if network == "none" else short(network, contents.run.domain)
        found.append(MetricRanks(label(metric), name, ARROWS.get(better.get(metric, ""), ""), places))
    return found


def _place(row: dict[str, Any]) -> Place:
    rank, low, high = (None if pd.isna(row[name]) else int(row[name]) for name in ("rank", "rank_low", "rank_high"))
    first = None if pd.isna(row["first"]) else float(row["first"])
    flag = row["flag"] if isinstance(row["flag"], str) else ""
    return Place(rank, low, high, int(row["tested_low"]), int(row["tested_high"]), first, flag)


def difference_lines(contents: Contents) -> list[dict[str, Any]]:
    """Differences of all pairs of competitors over all attributes, as texts; the table has every attribute."""
    frame = contents.differences
    chosen = frame[(frame["attribute"] == ALL) & ~frame["control"].astype(bool)]
    lines = []
    for (metric, network), part in chosen.groupby(["metric", "network"], sort=False):
        decimals = decimals_for([*part["difference"], *part["ci_low"].dropna(), *part["ci_high"].dropna()])
        for row in part.to_dict("records"):
            low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("ci_low", "ci_high"))
            error = row["judge_error"]
            lines.append(
                {
                    **{name: row[name] for name in ("method", "other", "n_faces", "significant", "difference")},
                    "metric": label(metric),
                    "network": short(network, contents.run.domain),
                    "shown": number(row["difference"], decimals),
                    "interval": "–" if low is None else f"{number(low, decimals)} to {number(high, decimals)}",
                    "p": "–" if pd.isna(row["p"]) else f"{row['p']:.2g}",
                    "p_holm": "–" if pd.isna(row["p_holm"]) else f"{row['p_holm']:.2g}",
                    "within_error": bool(not pd.isna(error) and abs(row["difference"]) < error),
                    "flag": row["flag"] if isinstance(row["flag"], str) else "",
                }
            )
    return lines


def judge_lines(contents: Contents) -> list[dict[str, Any]]:
    """What is known of the judges' own errors, on the edited attributes and over all."""
    frame = contents.judges
    chosen = frame[frame["attribute"].isin([ALL, *EVALUATED]) & ~frame["what"].isin(OF_LOGITS)]
    return [
        {
            **{name: row[name] for name in ("role", "network", "attribute", "unit", "measured_on")},
            "what": str(row["what"]).replace("_", " "),
            "value": None if pd.isna(row["value"]) else float(row["value"]),
            "n": None if pd.isna(row["n"]) else int(row["n"]),
        }
        for row in chosen.to_dict("records")
    ]


def counted(contents: Contents) -> str:
    """How many of the pairs of competitors differ significantly, over all attributes; empty without differences."""
    frame = contents.differences
    chosen = frame[(frame["attribute"] == ALL) & ~frame["control"].astype(bool)]
    if chosen.empty:
        return ""
    return f"{int(chosen['significant'].sum()):,} of {len(chosen):,}"


def few(differences: pd.DataFrame, level: float = 0.05) -> str:
    """Why nothing can be significant, where the number of faces allows no p value that is small enough."""
    known = differences.dropna(subset=["p"])
    if known.empty:
        return ""
    faces, family = int(known["n_faces"].max()), int(known["n_comparisons"].max())
    least = 2.0 ** (1 - faces) * family
    if known["significant"].any() or least <= level:
        return ""
    return (
        f"With {faces} faces no p value is below 2^(1 - {faces}) = {2.0 ** (1 - faces):.2g}, and {family} comparisons "
        f"make {min(1.0, least):.2g} of it: a run of this size cannot show that two methods differ."
    )


def _values(contents: Contents) -> dict[str, Any]:
    found = certainty(contents)
    return {"certainty": found} if found.checks or found.standings or found.judges else {}


def _controls(contents: Contents) -> list[TextTable]:
    words = {True: "holds", False: "does not hold", None: "not testable"}
    rows = [(one.control, one.expected, one.found, words[one.holds]) for one in control_checks(contents.scores)]
    return [TextTable("Controls", ("control", "expected", "found", ""), tuple(rows))]


SECTION = PageSection(
    key="certainty",
    title="How sure",
    order=90,
    template="certainty.html.j2",
    values=_values,
    lists=_controls,
    markdown_order=85,
)
