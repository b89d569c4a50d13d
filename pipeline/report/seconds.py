"""What a run took: seconds by kind of stage in a few lines, or of every stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.chain.links import KIND
from pipeline.chain.work import PHASES
from pipeline.progress import in_time
from pipeline.report.contents import RunRecord
from pipeline.report.sections.provenance import busy_seconds, stage_lines

if TYPE_CHECKING:
    from rich.console import Console

WHOLE = "whole run"


def print_phases(seconds: Mapping[str, float], total: float, note: str, console: Console) -> None:
    """Print the seconds of each phase that has any, and of the whole run, followed by a note: six lines at most."""
    from rich.table import Table
    from rich.text import Text

    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column(no_wrap=True)
    lines.add_column(no_wrap=True, justify="right")
    lines.add_column()
    for phase in PHASES:
        if phase in seconds:
            lines.add_row(phase, in_time(seconds[phase]), "")
    lines.add_row(Text(WHOLE, style="bold"), Text(in_time(total), style="bold"), Text(note, style="dim"))
    console.print(lines)


def print_stages(seconds: Iterable[tuple[str, float]], console: Console) -> None:
    """Print the wall seconds of every stage, a line each."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("stage")
    table.add_column("wall seconds", justify="right")
    for title, spent in seconds:
        table.add_row(Text(title), f"{spent:.1f}")
    console.print(table)


def print_seconds(run: RunRecord, console: Console) -> None:
    """Print what the stages of a published run took when they were computed, in this run or in one before."""
    print_stages([(line.title, line.wall_seconds) for line in stage_lines(run.stages)], console)
    by_phase: dict[str, list[dict[str, Any]]] = {}
    for stage in run.stages:
        if stage["stage"] in KIND:
            by_phase.setdefault(KIND[stage["stage"]].phase, []).append(stage)
    seconds = {phase: busy_seconds(stages) for phase, stages in by_phase.items()}
    print_phases(seconds, busy_seconds(run.stages), "", console)
