"""Whether a night differs from the nights before: scores that changed, and scores that drift.

Each score of a method that was measured to new bits is compared with its last measurement before: where it is a mean,
face by face on the same faces (`pipeline.statistics.differences.paired`), else by the two intervals. The faces are the
sample: the test asks whether the change would be there on other faces too. A chain that gives the same bits has nothing
to test; a change below the judges' last digits (`Metric.noise`) counts as none. F faces can give no p below 2^(1 - F).

A drift is a trend of a score over all attributes, over the measurements since it was last flagged: Kendall's test
(`pipeline.statistics.trend`), whose sample are the measurements, so it needs no faces, but at least LEAST of them.

Each of the two families is corrected for all of its comparisons of the night by Benjamini & Hochberg (Journal of the
Royal Statistical Society B 1995) at half of [nights] level. Where all differences are noise, that is also the chance of
even one flag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.metrics.base import ALL, noise_of
from pipeline.nights.causes import causes
from pipeline.nights.findings import BETTER, CHANGED, DRIFT, STEP, WORSE, FlaggedScore, GateResult, Key
from pipeline.nights.history import Night, measurements
from pipeline.nights.notes import Note
from pipeline.report.compare_runs import KEY, compare_scores, read_face_scores
from pipeline.report.contents import RunRecord, record_of
from pipeline.report.grids import SECONDS
from pipeline.settings.nights import Watch
from pipeline.statistics.trend import trend
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import RUNS

LEAST = 5  # measurements of a trend


def gate(night: Night, before: Sequence[Night], notes: Sequence[Note], watch: Watch) -> GateResult:
    """Compare a night with the nights before it of the same series. Raises CorruptShardError, StageError."""
    earlier = [one for one in before if one.series == night.series and one.order < night.order]
    if not earlier:
        return GateResult(nights=1, scores=len(night.scores), new=list(night.measured), level=watch.level)
    last = {method: one for one in earlier for method in one.measured if method in night.measured}
    again = [method for method, one in last.items() if one.measured[method] != night.measured[method]]
    rows = _compared(night, {method: last[method] for method in again})
    flagged_before = _flagged(notes)
    steps = list(_steps(rows, night, last, watch.level / 2))
    drifts, tested = _drifts(night, earlier, again, flagged_before, {step.key for step in steps}, watch)
    faces = rows.loc[rows["how"] == "same faces", "n_faces_b"] if len(rows) else pd.Series(dtype=float)
    return GateResult(
        since=earlier[-1].date,
        nights=len({one.date for one in [*earlier, night]}),
        scores=len(night.scores),
        measured=again,
        tested=int(rows["p"].notna().sum()) if len(rows) else 0,
        drifts_tested=tested,
        moved=int(((rows["difference"].abs() > 0) & ~rows["metric"].isin(SECONDS)).sum()) if len(rows) else 0,
        lost=int((rows["value_a"].notna() & rows["value_b"].isna()).sum()) if len(rows) else 0,
        new=[method for method in night.measured if method not in last],
        gone=[method for method in earlier[-1].measured if method not in night.measured],
        least_p=float(2.0 ** (1 - faces.max())) if len(faces) else 0.0,
        level=watch.level,
        findings=[*steps, *drifts],
    )


def _compared(night: Night, last: Mapping[str, Night]) -> pd.DataFrame:
    """The rows of `compare_scores` of every method against its own last measurement; p as the tests give it."""
    parts = []
    for one in {id(each): each for each in last.values()}.values():
        methods = [method for method, each in last.items() if each is one]
        chosen = [_of(side.scores, methods) for side in (one, night)]
        same_faces = one.manifest.get("weights", {}).get("generator") == night.manifest["weights"].get("generator")
        before, after = (_of(read_face_scores(side.folder), methods) for side in (one, night))
        faces = (before, after) if same_faces else None
        found = compare_scores(_record(one), chosen[0], _record(night), chosen[1], faces, judge_weights=False)
        parts.append(found.rows)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _record(night: Night) -> RunRecord:
    return record_of(read_table(night.folder / "runs.parquet", RUNS))


def _of(frame: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    return frame[frame["method"].isin(methods)].reset_index(drop=True)


def corrected(p: np.ndarray) -> np.ndarray:
    """Benjamini & Hochberg's adjusted p values (R,); NaN means no comparison and stays NaN."""
    from scipy.stats import false_discovery_control

    adjusted, known = np.full(len(p), np.nan), np.isfinite(p)
    if known.any():
        adjusted[known] = false_discovery_control(p[known])
    return adjusted


def _steps(rows: pd.DataFrame, night: Night, last: Mapping[str, Night], level: float) -> Iterator[FlaggedScore]:
    """The scores that changed since their last measurement."""
    if rows.empty:
        return
    rows = rows.assign(corrected=corrected(rows["p"].to_numpy(np.float64)))
    reasons: dict[str, list[str]] = {}
    for row in rows[rows["corrected"] <= level].to_dict("records"):
        method = str(row["method"])
        if method not in reasons:
            reasons[method] = causes(last[method], night, method)
        yield FlaggedScore(
            kind=STEP,
            verdict=_verdict(float(row["difference"]), str(row["better"])),
            since=last[method].date,
            before=float(row["value_a"]),
            after=float(row["value_b"]),
            p=float(row["corrected"]),
            n=int(row["n_faces_b"]) if row["how"] == "same faces" else 0,
            causes=reasons[method],
            **_named(row),
        )


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    level = row["level"]
    names = {name: str(row[name]) for name in ("protocol", "method", "attribute", "metric", "network")}
    return {**names, "level": None if level is None or level != level else float(level)}


def _verdict(difference: float, better: str) -> str:
    if better not in ("lower", "higher"):
        return CHANGED
    return BETTER if (difference < 0) == (better == "lower") else WORSE


def _flagged(notes: Sequence[Note]) -> dict[str, set[Key]]:
    """Folder of a night's report -> the scores that were flagged then."""
    flagged: dict[str, set[Key]] = {}
    for note in notes:
        found = GateResult.from_json(note.comparison).findings
        flagged.setdefault(note.report, set()).update(finding.key for finding in found)
    return flagged


def _drifts(
    night: Night,
    earlier: Sequence[Night],
    again: Sequence[str],
    flagged: Mapping[str, set[Key]],
    steps: set[Key],
    watch: Watch,
) -> tuple[list[FlaggedScore], int]:
    """The trends of the methods that were measured tonight, and how many were tested."""
    tested: list[tuple[dict[str, Any], list[Night], np.ndarray, float]] = []
    for method in again:
        nights = measurements([*earlier, night], method)[-watch.window :]
        tables = [_values(one, method) for one in nights]
        for key, row in tables[-1].items():
            start = max(
                (place for place, one in enumerate(nights) if key in flagged.get(one.folder.name, ())), default=0
            )
            values = np.array([table[key]["value"] if key in table else np.nan for table in tables[start:]], float)
            if key in steps or len(values) < LEAST or not np.isfinite(values).all():
                continue
            tested.append((row, nights[start:], values, trend(_rounded(values, str(row["metric"]))).p))
    adjusted = corrected(np.array([p for *_, p in tested]))
    findings = [
        FlaggedScore(
            kind=DRIFT,
            verdict=_verdict(float(values[-1] - values[0]), str(row["better"])),
            since=nights[0].date,
            before=float(values[0]),
            after=float(values[-1]),
            p=float(p),
            n=len(values),
            causes=causes(nights[0], night, str(row["method"])),
            **_named(row),
        )
        for (row, nights, values, _), p in zip(tested, adjusted, strict=True)
        if p <= watch.level / 2
    ]
    return findings, len(tested)


def _values(night: Night, method: str) -> dict[Key, dict[str, Any]]:
    """The scores of a method over all attributes, without seconds."""
    rows = night.scores
    chosen = rows[(rows["method"] == method) & (rows["attribute"] == ALL) & ~rows["metric"].isin(SECONDS)]
    keys = chosen[KEY[1:]].astype(object).where(chosen[KEY[1:]].notna(), None).itertuples(index=False, name=None)
    return dict(zip(keys, chosen.to_dict("records"), strict=True))


def _rounded(values: np.ndarray, metric: str) -> np.ndarray:
    """Values that differ by less than the judges' last digits as equal ones."""
    noise = noise_of(metric)
    return np.round(values / noise) if noise else values
