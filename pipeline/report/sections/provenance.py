"""Where a run's numbers come from: stages, weights, packages, settings, trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from pipeline.report.contents import Contents
from pipeline.report.method_facts import method_facts
from pipeline.report.sections import PageSection, TextTable


@dataclass(frozen=True)
class StageLine:
    """One line of the table of stages: the parts of one stage and method, such as the eight ranges of L2L."""

    title: str
    parts: int
    rows: int
    wall_seconds: float
    work_seconds: float
    origin: str
    fingerprints: tuple[str, ...]


def stage_lines(stages: Sequence[dict[str, Any]]) -> list[StageLine]:
    """The stages of a run, one line for each kind and method."""
    if not stages:
        return []
    frame = pd.DataFrame(stages)
    lines = []
    for (stage, label), part in frame.groupby(["stage", "group"], sort=False):
        runs = [origin for origin in part["reused_from"] if isinstance(origin, str)]
        computed = len(part) - len(runs)
        origin = "computed" if not runs else f"reused from {max(runs)}"
        if runs and computed:
            origin = f"{computed} computed, {len(runs)} reused from {max(runs)}"
        lines.append(
            StageLine(
                title=f"{stage} {label}".strip(),
                parts=len(part),
                rows=int(part["rows"].sum()),
                wall_seconds=busy_seconds(part.to_dict("records")),
                work_seconds=float(part["work_seconds"].sum()),
                origin=origin,
                fingerprints=tuple(part["fingerprint"]),
            )
        )
    return lines


def busy_seconds(stages: Sequence[dict[str, Any]]) -> float:
    """Seconds during which at least one of the stages was being computed: ranges of one pass are not added up."""
    spans = sorted((datetime.fromisoformat(stage["started"]).timestamp(), stage["wall_seconds"]) for stage in stages)
    total, until = 0.0, float("-inf")
    for start, seconds in spans:
        end = start + seconds
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _values(contents: Contents) -> dict[str, Any]:
    run = contents.run
    return {
        "learned": [(line["group"], line["learned"]) for line in run.stages if line.get("learned")],
        "other_commits": sorted({line.get("commit", "") for line in run.stages} - {"", run.commit}),
        "methods": method_facts(contents),
        "stages": stage_lines(run.stages),
        "busy": busy_seconds(run.stages),
    }


def _trainings(contents: Contents) -> list[TextTable]:
    """Seconds that each method's training took, and how many candidates named its directions."""
    tried = contents.scores.groupby("method")["naming_candidates"].max()
    rows = []
    for line in contents.run.stages:
        learned = line.get("learned") or {}
        if "seconds" in learned:
            candidates = tried.get(line["group"])
            named = "–" if candidates is None or pd.isna(candidates) else f"{int(candidates):,}"
            rows.append((line["group"], f"{learned['seconds']:,.0f}", named))
    return [TextTable("Training", ("method", "seconds", "candidates for names"), tuple(rows))]


SECTION = PageSection(
    key="provenance",
    title="Provenance",
    order=104,
    template="provenance.html.j2",
    values=_values,
    lists=_trainings,
)
