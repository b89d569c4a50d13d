"""What thirty nights must have left: reports or reasons, the change and the drift and nothing else, a bounded disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.thirty_nights.plan import CHANGED, COUNT, DRIFTS_FROM
from benchmarks.thirty_nights.plugin import DRIFTING, STEPPING
from benchmarks.thirty_nights.record import NightRecord
from pipeline.nights.findings import DRIFT, STEP

ALL_RUNS = "SELECT count(DISTINCT run_id), count(*) FROM read_parquet('{}/reports/*/scores.parquet')"
ROOM = 1.5  # a night may take so much more than the first one's report and the stages that it measured


def problems(nights: Sequence[NightRecord], outputs: Path) -> list[str]:
    """All that is not as it must be."""
    said = [f"night {night.number}: {fault}" for night in nights for fault in night.faults]
    if len(nights) != COUNT:
        said.append(f"{len(nights)} nights are over, expected {COUNT}")
    said += [f"night {night.number} has neither report nor reason" for night in nights
             if not night.report and not night.reason]  # fmt: skip
    return [*said, *gate_problems(nights), *disk_problems(nights), *glob_problems(nights, outputs)]


def gate_problems(nights: Sequence[NightRecord]) -> list[str]:
    """The step of STEPPING on the night of its change and the drift of DRIFTING, and nothing else."""
    flagged = {(night.number, method, kind) for night in nights for method, kind, *_ in night.findings}
    change = {(CHANGED, STEPPING, STEP)}
    drift = {entry for entry in flagged if entry[0] > DRIFTS_FROM and entry[1:] == (DRIFTING, DRIFT)}
    said = [] if change <= flagged else [f"the change of {STEPPING} on night {CHANGED} was not flagged"]
    said += [] if drift else [f"the drift of {DRIFTING} from night {DRIFTS_FROM} was not flagged"]
    rest = sorted(flagged - change - drift)
    return said + [f"night {number}: {method} was flagged as a {kind}" for number, method, kind in rest]


def disk_problems(nights: Sequence[NightRecord]) -> list[str]:
    """A quiet night takes the place of its report; a night that measures, of the stages of one method at most."""
    if not nights:
        return []
    first, said = nights[0].mib, []
    for before, night in zip(nights, nights[1:], strict=False):
        if night.mib - before.mib > first * ROOM:
            said.append(f"night {night.number} took {night.mib - before.mib:.1f} MiB, the first {first:.1f} MiB")
    return said


def glob_problems(nights: Sequence[NightRecord], outputs: Path) -> list[str]:
    """One glob reads the scores of every night that has a report."""
    import duckdb

    runs, rows = duckdb.sql(ALL_RUNS.format(outputs)).fetchall()[0]
    reports = sum(bool(night.report) for night in nights)
    return [] if runs == reports and rows else [f"one glob reads {runs} runs, expected {reports}"]


def summary(nights: Sequence[NightRecord]) -> str:
    """A Markdown table: a line for each night on which anything happened, and the quiet ones together."""
    lines = ["| night | what happened | exit codes | report | the gate said | MiB |", "|---:|---|---|---|---|---:|"]
    quiet = 0
    for night in nights:
        if not night.mishap and night.number not in (1, CHANGED) and not night.findings:
            quiet += 1
            continue
        codes = ", then ".join(map(str, night.codes))
        result = "yes" if night.report else f"no: {night.reason[:80]}"
        lines.append(f"| {night.number} | {_event(night)} | {codes} | {result} | {night.verdict} | {night.mib:.1f} |")
    seconds = sum(night.seconds for night in nights)
    reports = sum(bool(night.report) for night in nights)
    return "\n".join(
        [*lines, "", f"{reports} reports of {len(nights)} nights; {quiet} nights without a mishap or a finding are not "
         f"listed. {seconds / 60:.1f} minutes."]
    )  # fmt: skip


def _event(night: NightRecord) -> str:
    events = [night.mishap] if night.mishap else []
    if night.number == 1:
        events.append("the first night")
    if night.number == CHANGED:
        events.append(f"{STEPPING} changes")
    if night.number == DRIFTS_FROM:
        events.append(f"{DRIFTING} begins to drift")
    if night.number > DRIFTS_FROM and night.findings and not night.mishap:
        events.append(f"{DRIFTING} drifts")
    return "; ".join(events)
