"""Two published runs, score by score: the difference, its interval, and whether it is more than noise.

Where both runs edited the same faces by methods of the same name, a metric that is a mean is compared face by face
(`pipeline.statistics.differences.paired`); any other score by the two runs' intervals, as independent estimates
(`pipeline.statistics.differences.unpaired`), which is cautious for runs that share their faces. Column `how` says
which. Noise is of the faces alone: two trainings of one method from different seeds differ, and are reported so. Holm's
correction is made over all scores compared, so two runs that differ by such noise alone have even one score flagged
with a probability of at most 1 - the level of the intervals. Seconds depend on the machine's other work and are not
tested.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.metrics.base import noise_of
from pipeline.report.archive import check_report
from pipeline.report.by_face import groups
from pipeline.report.contents import RunRecord, record_of
from pipeline.report.grids import SECONDS
from pipeline.report.packed import opened
from pipeline.settings.experiment import INDIFFERENT
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.statistics.differences import FaceSums, holm, paired, unpaired
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import FACE_SCORES, RUNS, SCORES

if TYPE_CHECKING:
    from rich.console import Console

KEY = ["domain", "protocol", "method", "attribute", "metric", "network", "level"]
SIDE = ["value", "ci_low", "ci_high", "n_faces", "n_images", "flag", "method_version"]
OUTSIDE = ("better", "worse", "changed")
VERDICTS = (*OUTSIDE, "same", "within noise", "no interval", "not tested", "not comparable")
SAME_FACES, INDEPENDENT, UNTESTED = "same faces", "independent", ""
HOW = {SAME_FACES: "pairs of the same faces", INDEPENDENT: "their intervals, as independent"}
OTHER_WEIGHTS = "other weights"
RESAMPLES = 100  # per score compared, so that a p value that Holm's correction leaves at the level rests on several
MOST_RESAMPLES = 200_000


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    `rows`: one per score that both have: KEY, better, unit, value_a, value_b, the ends of both intervals, difference (b
    - a) with its own interval (ci_low, ci_high), `how` it was tested, p, p_holm and `verdict`, one of VERDICTS.
    `only_a`, `only_b`: scores of one run alone. `reasons`: why the runs, or some of their scores, must not be compared;
    empty if nothing is known against it.
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

    @property
    def outside(self) -> pd.DataFrame:
        """The rows that differ by more than noise."""
        return self.rows[self.rows["verdict"].isin(OUTSIDE)]

    @property
    def level(self) -> float:
        """The probability that even one of the rows is flagged where the runs differ by noise alone, at most."""
        return 1 - float(self.run_a.experiment.get("confidence", 0.95))


def compare_runs(outputs: Path, run_a: str, run_b: str) -> Comparison:
    """Compare two published runs, named as `archive.find_run` takes them, or packed into files NAME.tar.xz.

    Runs of another domain, profile, protocol or other weights are joined all the same, but every row's verdict is "not
    comparable" and `reasons` says why. Raises StageError for a run that there is not, CorruptShardError.
    """
    with ExitStack() as stack:
        folders = [stack.enter_context(opened(outputs, name)) for name in (run_a, run_b)]
        for folder in folders:
            check_report(folder)
        records = [record_of(read_table(folder / "runs.parquet", RUNS)) for folder in folders]
        frames = [read_table(folder / "scores.parquet", SCORES).to_pandas() for folder in folders]
        faces = [read_face_scores(folder) for folder in folders]
    return compare_scores(records[0], frames[0], records[1], frames[1], (faces[0], faces[1]))


def read_face_scores(folder: Path) -> pd.DataFrame:
    """FACE_SCORES of a run; empty for one that was published before the table existed."""
    path = folder / "face_scores.parquet"
    table = read_table(path, FACE_SCORES) if path.is_file() else FACE_SCORES.empty_table()
    return table.to_pandas()


def compare_scores(
    a: RunRecord,
    scores_a: pd.DataFrame,
    b: RunRecord,
    scores_b: pd.DataFrame,
    faces: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    *,
    judge_weights: bool = True,
) -> Comparison:
    """The comparison of two runs whose records and scores are at hand, and FACE_SCORES of both.

    judge_weights: whether runs of other weights are not comparable, as two quantities; a series of nights asks what new
    weights changed.
    """
    reasons = [reason for reason in differences(a, b) if judge_weights or not reason.startswith(OTHER_WEIGHTS)]
    joined = scores_a[[*KEY, *SIDE, "better", "unit"]].merge(
        scores_b[[*KEY, *SIDE]], on=KEY, how="outer", suffixes=("_a", "_b"), indicator=True, sort=False
    )
    both = joined[joined["_merge"] == "both"].drop(columns="_merge").reset_index(drop=True)
    both["difference"] = both["value_b"] - both["value_a"]
    both.loc[both["value_a"].isna() & both["value_b"].isna(), "difference"] = 0.0  # neither run has a number
    both[["ci_low", "ci_high", "p"]] = np.nan
    both["how"] = UNTESTED
    if not reasons:
        _test(both, a, faces)
        last_digits = both["difference"].abs() <= both["metric"].map(noise_of)  # which differ from batch to batch
        both.loc[last_digits & both["p"].notna(), "p"] = 1.0
    both["p_holm"] = holm(both["p"].to_numpy(np.float64))
    level = 1 - float(a.experiment.get("confidence", 0.95))
    both["verdict"] = ["not comparable" if reasons else _verdict(row, level) for row in both.to_dict("records")]
    alone_a = joined.loc[joined["_merge"] == "left_only", [*KEY, "value_a"]].reset_index(drop=True)
    alone_b = joined.loc[joined["_merge"] == "right_only", [*KEY, "value_b"]].reset_index(drop=True)
    return Comparison(a, b, both, alone_a, alone_b, tuple(reasons))


def _test(rows: pd.DataFrame, run: RunRecord, faces: tuple[pd.DataFrame, pd.DataFrame] | None) -> None:
    """Fill in intervals, p values and `how` of the rows, in place."""
    confidence = float(run.experiment.get("confidence", 0.95))
    tested = (~rows["metric"].isin(SECONDS)).to_numpy()
    sides = [tuple(rows[f"{name}_{side}"].to_numpy(np.float64) for name in SIDE[:3]) for side in "ba"]
    by_interval = unpaired((sides[0][0], *sides[0][1:]), (sides[1][0], *sides[1][1:]), confidence)
    known = tested & np.isfinite(by_interval.p)
    for name, values in (("ci_low", by_interval.low), ("ci_high", by_interval.high), ("p", by_interval.p)):
        rows.loc[known, name] = values[known]
    rows.loc[known, "how"] = INDEPENDENT
    chosen, first, second = _on_the_same_faces(rows, faces)
    if not len(chosen):
        return
    equal = ((first.sums == second.sums) & (first.sizes == second.sizes)).all(axis=1)
    rows.loc[chosen, "how"] = SAME_FACES
    rows.loc[chosen[equal], ["ci_low", "ci_high", "p"]] = (0.0, 0.0, 1.0)
    other = np.flatnonzero(~equal)
    if len(other):
        samples = min(MOST_RESAMPLES, max(int(run.experiment.get("comparison_samples", 0)), RESAMPLES * len(rows)))
        bootstrap = Bootstrap(samples, confidence, int(run.experiment.get("seed", 0)))
        found = paired(bootstrap, second[other], first[other])
        for name, values in (("ci_low", found.low), ("ci_high", found.high), ("p", found.p)):
            rows.loc[chosen[other], name] = values


def _on_the_same_faces(
    rows: pd.DataFrame, faces: tuple[pd.DataFrame, pd.DataFrame] | None
) -> tuple[np.ndarray, FaceSums, FaceSums]:
    """Rows (K,) of which both runs have the means of the very same faces, and these of either run, (K, F)."""
    nothing = FaceSums(np.empty((0, 0)), np.empty((0, 0)))
    if faces is None or any(frame.empty for frame in faces):
        return np.empty(0, np.intp), nothing, nothing
    known = [np.unique(frame["face_id"].to_numpy()) for frame in faces]
    if not np.array_equal(known[0], known[1]):
        return np.empty(0, np.intp), nothing, nothing
    means = [_means(frame) for frame in faces]
    chosen, sums = [], []
    for place, row in enumerate(rows.to_dict("records")):
        key = tuple(row[name] for name in ("protocol", "method", "attribute", "metric", "network"))
        pair = [side.get(key) for side in means]
        if any(one is None for one in pair) or row["metric"] in SECONDS:
            continue
        one, other = (np.stack(half) for half in pair if half is not None)
        value = other[0].sum() / other[1].sum() - one[0].sum() / one[1].sum()
        if np.array_equal(one[1] > 0, other[1] > 0) and np.isclose(value, row["difference"], rtol=1e-6, atol=1e-9):
            chosen.append(place)
            sums.append((one, other))
    if not chosen:
        return np.empty(0, np.intp), nothing, nothing
    stacked = np.array(sums)  # (K, runs, sums or sizes, F)
    first, second = (FaceSums(stacked[:, run, 0], stacked[:, run, 1]) for run in (0, 1))
    return np.array(chosen), first, second


def _means(frame: pd.DataFrame) -> dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]]:
    """Sums and sizes by face of every mean of a run."""
    return {
        (group.protocol, method, group.attribute, group.metric, group.network): (
            group.sums.sums[place],
            group.sums.sizes[place],
        )
        for group in groups(frame)
        for place, method in enumerate(group.methods)
        if group.sums.sizes[place].any()
    }


def differences(a: RunRecord, b: RunRecord) -> list[str]:
    """Why the numbers of two runs do not measure the same quantities, in words."""
    reasons = []
    for noun, one, other in (("domain", a.domain, b.domain), ("profile", a.profile, b.profile)):
        if one != other:
            reasons.append(f"another {noun}: {one} and {other}")
    rules = sorted({*a.experiment, *b.experiment} - {*INDIFFERENT})
    changed = [key for key in rules if a.experiment.get(key) != b.experiment.get(key)]
    reasons += [f"another protocol: {key} is {a.experiment.get(key)} and {b.experiment.get(key)}" for key in changed]
    judges = sorted({*a.weights, *b.weights})
    weights = [role for role in judges if a.weights.get(role) != b.weights.get(role)]
    if weights and a.domain == b.domain:
        reasons.append(f"{OTHER_WEIGHTS}: {', '.join(weights)}")
    return reasons


def _verdict(row: dict[str, Any], level: float) -> str:
    if row["difference"] == 0:
        return "same"
    if row["metric"] in SECONDS:
        return "not tested"
    if pd.isna(row["p_holm"]):
        return "no interval"
    if row["p_holm"] > level + 1e-12:
        return "within noise"
    if row["better"] not in ("lower", "higher"):
        return "changed"
    return "better" if (row["difference"] < 0) == (row["better"] == "lower") else "worse"


def print_comparison(comparison: Comparison, console: Console | None = None, *, everything: bool = False) -> None:
    """Print a comparison: what speaks against it, then the scores outside noise and those over all attributes.

    `everything` prints every score. The last line counts the verdicts.
    """
    from rich.console import Console
    from rich.text import Text

    from pipeline.report.rows import print_rows

    console = console or Console()
    console.print(Text(f"\na  {comparison.run_a.run_id}\nb  {comparison.run_b.run_id}"))
    for reason in comparison.reasons:
        console.print(Text(f"Not comparable: {reason}", style="yellow"))
    rows = comparison.rows
    if not everything and (rows["attribute"] == "all").any():
        rows = rows[(rows["attribute"] == "all") | rows["verdict"].isin(OUTSIDE)]
    shown = [
        "method",
        "attribute",
        "metric",
        "network",
        "level",
        "value_a",
        "value_b",
        "difference",
        "ci_low",
        "ci_high",
    ]
    print_rows(rows[[*shown, "p_holm", "how", "verdict"]], console)
    for name, alone in (("a", comparison.only_a), ("b", comparison.only_b)):
        if len(alone):
            methods = ", ".join(alone["method"].unique())
            console.print(Text(f"{len(alone)} scores in {name} alone, of {methods}"))
    console.print(Text(summary_line(comparison)), soft_wrap=True)


def summary_line(comparison: Comparison) -> str:
    """The comparison in one line: how many scores, of which verdicts, and what a flag is worth."""
    rows = comparison.rows
    counts = rows["verdict"].value_counts()
    verdicts = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    line = f"{len(rows)} scores in both: {verdicts or 'none'}."
    if comparison.reasons:
        return line
    how = rows["how"].value_counts()
    kinds = " and ".join(f"{how[kind]} by {words}" for kind, words in HOW.items() if kind in how)
    flagged = f"{len(comparison.outside)} outside noise"
    return f"{line} {flagged} (tested {kinds or 'none'}; by chance alone, even one with a probability of at most " + (
        f"{comparison.level:.0%})."
    )
