"""The block of lines of a run: on a terminal, and nowhere else."""

from __future__ import annotations

import io

from rich.console import Console

from pipeline.planning.run_board import RunBoard
from pipeline.planning.time_left import TimeLeft
from pipeline.progress import Display, shown_on
from tests.pipeline.planning.test_time_left import row


def board() -> RunBoard:
    rows = [row("labels", "train", 2.0), row("train", "l2l", 10.0), row("train", "llf", 30.0), row("edits", "l2l", 8.0)]
    return RunBoard(TimeLeft(rows))


def lines(shown: RunBoard, width: int = 100) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width).print(shown.lines())
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_each_phase_has_a_line_and_the_whole_run_the_last_one() -> None:
    found = lines(board())
    assert [line[:18].strip() for line in found] == ["latents and labels", "training", "edits", "whole run"]
    assert "0 of 2 methods" in found[1] and "about 50 s left" in found[-1]
    assert max(map(len, lines(board(), 60))) <= 60


def test_the_running_stage_is_shown_with_the_progress_of_its_display() -> None:
    shown = board()
    shown.began(["labels train"])
    with shown_on(shown), Display("synthface labels train", 400, "images") as display:
        display.update(100, "batch 3")
        assert "0 of 1 · labels train: 100 of 400 images (25 %)" in lines(shown)[0]
        assert "1 %" in lines(shown)[-1]
    shown.ended(["labels train"], 2.0)
    assert "1 of 1 stages" in lines(shown)[0] and "about 48 s left" in lines(shown)[-1]


def test_trainings_side_by_side_count_methods_that_ended_and_work_that_is_done() -> None:
    shown = board()
    shown.began(["train l2l"])
    with shown_on(shown), Display("train 2 methods side by side", 40.0, "methods", parts=2) as display:
        display.update(20.0)
        training = lines(shown)[1]
        assert "0 of 2 methods, 50 % of the work" in training
        assert "about 30 s left" in lines(shown)[-1], "half of both trainings, and the other stages"


def test_a_display_on_a_board_prints_nothing_itself() -> None:
    stream = io.StringIO()
    with shown_on(board()), Display("labels", 10, "images", stream=stream) as display:
        display.update(5)
    assert stream.getvalue() == ""
    with Display("labels", 10, "images", stream=stream):
        pass
    assert stream.getvalue(), "off the board it does"


def test_nothing_is_shown_where_nobody_looks() -> None:
    text = io.StringIO()
    with board().on(Console(file=text, width=100)), Display("labels", 10, "images") as display:
        display.update(5)
    assert text.getvalue() == ""


def test_a_terminal_gets_the_block_and_it_is_taken_away_at_the_end() -> None:
    text = io.StringIO()
    with board().on(Console(file=text, width=100, force_terminal=True)):
        pass
    assert "whole run" in text.getvalue() and text.getvalue().rstrip().endswith("\x1b[2K")
