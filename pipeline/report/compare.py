"""Two published runs, score by score: the difference, and whether the intervals tell them apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.report.archive import check_report, find_run
from pipeline.report.contents import RunRecord, record_of
from pipeline.schemas import RUNS, SCORES
from pipeline.tables import read_table

if TYPE_CHECKING:
    from rich.console import Console

KEY = ["domain", "protocol", "method", "attribute", "metric", "network", "level"]
SIDE = ["value", "ci_low", "ci_high", "n_faces", "n_images", "flag", "method_version"]
VERDICTS = ("better", "worse", "changed", "same", "within intervals", "no interval", "not comparable")


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    `rows`: one per score that both have: KEY, better, unit, value_a, value_b, the ends of both intervals, difference (b
    - a), overlap (None where one has no interval) and `verdict`, one of VERDICTS. `only_a`, `only_b`: scores of one run
    alone. `reasons`: why the runs, or some of their scores, must not be compared; empty if nothing is known against it.
    """

    run_a: RunRecord
    run_b: RunRecord
    rows: pd.DataFrame
    only_a: pd.DataFrame
    only_b: pd.DataFrame
    reasons: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether the numbers of the two runs measure the same quantities."""
        return not self.reasons


def compare(outputs: Path, run_a: str, run_b: str) -> Comparison:
    """Compare two published runs, named as `archive.find_run` takes them.

    Runs of another domain, profile, protocol or other weights are joined all the same, but every row's verdict is "not
    comparable" and `reasons` says why. Raises StageError for a run that there is not, CorruptShardError.
    """
    folders = [find_run(outputs, name) for name in (run_a, run_b)]
    for folder in folders:
        check_report(folder)
    records = [record_of(read_table(folder / "runs.parquet", RUNS)) for folder in folders]
    frames = [read_table(folder / "scores.parquet", SCORES).to_pandas() for folder in folders]
    return compare_scores(records[0], frames[0], records[1], frames[1])


def compare_scores(a: RunRecord, scores_a: pd.DataFrame, b: RunRecord, scores_b: pd.DataFrame) -> Comparison:
    """The comparison of two runs whose records and scores are at hand."""
    reasons = differences(a, b)
    joined = scores_a[[*KEY, *SIDE, "better", "unit"]].merge(
        scores_b[[*KEY, *SIDE]], on=KEY, how="outer", suffixes=("_a", "_b"), indicator=True, sort=False
    )
    both = joined[joined["_merge"] == "both"].drop(columns="_merge").reset_index(drop=True)
    both["difference"] = both["value_b"] - both["value_a"]
    both["overlap"] = [_overlap(row) for row in both.to_dict("records")]
    both["verdict"] = ["not comparable" if reasons else _verdict(row) for row in both.to_dict("records")]
    alone_a = joined.loc[joined["_merge"] == "left_only", [*KEY, "value_a"]].reset_index(drop=True)
    alone_b = joined.loc[joined["_merge"] == "right_only", [*KEY, "value_b"]].reset_index(drop=True)
    return Comparison(a, b, both, alone_a, alone_b, tuple(reasons))


def differences(a: RunRecord, b: RunRecord) -> list[str]:
    """Why the numbers of two runs do not measure the same quantities, in words."""
    reasons = []
    for noun, one, other in (("domain", a.domain, b.domain), ("profile", a.profile, b.profile)):
        if one != other:
            reasons.append(f"another {noun}: {one} and {other}")
    rules = sorted({*a.protocol, *b.protocol} - {"profile"})
    changed = [key for key in rules if a.protocol.get(key) != b.protocol.get(key)]
    reasons += [f"another protocol: {key} is {a.protocol.get(key)} and {b.protocol.get(key)}" for key in changed]
    judges = sorted({*a.weights, *b.weights})
    weights = [role for role in judges if a.weights.get(role) != b.weights.get(role)]
    if weights and a.domain == b.domain:
        reasons.append(f"other weights: {', '.join(weights)}")
    return reasons


def _overlap(row: dict[str, Any]) -> bool | None:
    ends = [row[name] for name in ("ci_low_a", "ci_high_a", "ci_low_b", "ci_high_b")]
    if any(pd.isna(end) for end in ends):
        return None
    return bool(max(ends[0], ends[2]) <= min(ends[1], ends[3]))


def _verdict(row: dict[str, Any]) -> str:
    if row["difference"] == 0:
        return "same"
    if row["overlap"] is None:
        return "no interval"
    if row["overlap"]:
        return "within intervals"
    if row["better"] not in ("lower", "higher"):
        return "changed"
    return "better" if (row["difference"] < 0) == (row["better"] == "lower") else "worse"


def print_comparison(comparison: Comparison, console: Console | None = None, *, everything: bool = False) -> None:
    """Print a comparison: what differs, then the scores over all attributes, or every score."""
    from rich.console import Console
    from rich.text import Text

    from pipeline.report.query import text_table

    console = console or Console()
    console.print(Text(f"\na  {comparison.run_a.run_id}\nb  {comparison.run_b.run_id}"))
    for reason in comparison.reasons:
        console.print(Text(f"Not comparable: {reason}", style="yellow"))
    rows = comparison.rows
    if not everything and (rows["attribute"] == "all").any():
        rows = rows[rows["attribute"] == "all"]
    shown = ["method", "attribute", "metric", "network", "level", "value_a", "value_b", "difference", "verdict"]
    console.print(text_table(rows[shown]))
    counts = comparison.rows["verdict"].value_counts()
    console.print(Text(f"{len(comparison.rows)} scores in both: " + ", ".join(f"{n} {v}" for v, n in counts.items())))
    for name, alone in (("a", comparison.only_a), ("b", comparison.only_b)):
        if len(alone):
            methods = ", ".join(alone["method"].unique())
            console.print(Text(f"{len(alone)} scores in {name} alone, of {methods}"))
