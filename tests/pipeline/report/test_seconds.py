"""Seconds by kind of stage in six lines, or of every stage."""

from __future__ import annotations

import io

from rich.console import Console

from pipeline.chain.links import KINDS
from pipeline.chain.work import PHASES
from pipeline.report import seconds
from pipeline.report.contents import record_of
from tests.builders import random_run


def test_every_kind_of_stage_has_a_phase_and_every_phase_a_kind() -> None:
    assert {kind.phase for kind in KINDS} == set(PHASES)
    phases = {kind.name: kind.phase for kind in KINDS}
    assert (phases["labels"], phases["train"], phases["range"]) == PHASES[:3]
    assert phases["edits"] == "edits" and phases["rating"] == "scores and report"


def test_all_phases_and_the_whole_run_take_six_lines() -> None:
    text = io.StringIO()
    spent = dict(zip(PHASES, (12.0, 200.0, 3.0, 4.0, 5.0), strict=True))
    seconds.print_phases(spent, 7500.0, "a note", Console(file=text, width=100))
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert len(lines) == 6
    assert lines[0][-2:] == ["12", "s"] and lines[-1] == ["whole", "run", "2", "h", "05", "min", "a", "note"]


def test_a_published_run_tells_what_its_stages_took() -> None:
    run = record_of(random_run.runs())
    text = io.StringIO()
    seconds.print_seconds(run, Console(file=text, width=100))
    shown = text.getvalue()
    assert "latents train" in shown and "train l2l" in shown
    assert [line.split()[0] for line in shown.splitlines()[-5:]] == ["latents", "training", "ranges", "edits", "whole"]
