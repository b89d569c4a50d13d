"""What changed since the run before, over all attributes."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.report.compare_runs import summary_line
from pipeline.report.contents import Contents
from pipeline.report.grids import decimals_for, label, number, short
from pipeline.report.sections import PageSection


def changed_lines(contents: Contents) -> list[dict[str, Any]]:
    """The scores that differ by more than noise, as texts; of runs that are not comparable, none."""
    if contents.before is None:
        return []
    lines = []
    for row in contents.before.outside.to_dict("records"):
        decimals = decimals_for([row["value_a"], row["value_b"]])
        low, high = row["ci_low"], row["ci_high"]
        lines.append(
            {
                **{name: row[name] for name in ("protocol", "method", "verdict", "difference")},
                "metric": label(row["metric"]),
                "level": "" if pd.isna(row["level"]) else f"{row['level']:g}",
                "network": short(row["network"], contents.run.domain),
                "before": number(row["value_a"], decimals),
                "now": number(row["value_b"], decimals),
                "interval": "–" if pd.isna(low) else f"{number(low, decimals)} to {number(high, decimals)}",
                "shown": number(row["difference"], decimals),
            }
        )
    return lines


def _values(contents: Contents) -> dict[str, Any]:
    before = contents.before
    if before is None:
        return {}
    return {
        "earlier": before.run_a,
        "reasons": before.reasons,
        "changed": changed_lines(contents),
        "summary": summary_line(before),
        "only": [
            (name, sorted(alone["method"].unique()))
            for name, alone in (("this run", before.only_b), ("the run before", before.only_a))
            if len(alone)
        ],
    }


SECTION = PageSection(
    key="before", title="Difference to the run before", order=85, template="before.html.j2", values=_values
)
