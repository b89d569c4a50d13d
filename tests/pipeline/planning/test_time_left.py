"""How much of a run is done and how long the rest takes, from rows of a plan whose answers are known."""

from __future__ import annotations

import pytest

from pipeline.planning.plan import MISSING, THERE, Planned
from pipeline.planning.time_left import Done, TimeLeft


def row(stage: str, method: str = "", seconds: float | None = None, **more: object) -> Planned:
    values = dict(
        stage=stage, method=method, attribute="", title=f"{stage} {method}".strip(), state=MISSING, units=10,
        unit="images", shards=0, seconds=seconds, spent=None, folder="",
    )  # fmt: skip
    return Planned(**(values | more))  # type: ignore[arg-type]


def test_what_is_left_is_what_the_plan_says_of_stages_that_have_not_ended() -> None:
    left = TimeLeft(
        [row("edits", "l2l", 4.0), row("edits", "llf", 6.0), row("edits", "noop", 0.0, state=THERE, spent=1.0)]
    )
    assert left.seconds() == 10.0
    assert left.seconds(["edits l2l"], 0.5) == 8.0
    left.ended(["edits l2l"], 4.0)
    assert left.seconds() == 6.0
    assert left.whole() == Done("whole run", 1, 2, 0.4)
    assert left.whole(["edits llf"], 0.5).share == pytest.approx(0.7)


def test_nothing_is_said_of_the_time_while_a_rate_is_not_known() -> None:
    left = TimeLeft([row("edits", "l2l"), row("edits", "llf", units=20), row("spread", seconds=1.0)])
    assert left.seconds() is None
    assert left.whole(["spread"], 0.6).share == pytest.approx(0.2), "stages count alike"
    left.ended(["edits l2l"], 5.0)
    assert left.seconds() == pytest.approx(11.0), "unit for unit as long as the other of its kind"


def test_stages_that_were_there_tell_how_long_others_of_their_kind_take() -> None:
    there = row("edits", "l2l", 0.0, state=THERE, spent=3.0)
    assert TimeLeft([there, row("edits", "llf", units=30)]).seconds() == pytest.approx(9.0)
    trained = row("train", "l2l", 0.0, state=THERE, spent=3.0, unit="steps")
    assert TimeLeft([trained, row("train", "sefa")]).seconds() is None, "steps do not tell how long images take"


def test_stages_that_took_longer_than_planned_correct_the_rest() -> None:
    left = TimeLeft([row("edits", "l2l", 10.0), row("edits", "llf", 10.0), row("edits", "rfm", 10.0)])
    left.ended(["edits l2l"], 30.0)
    assert left.seconds() == pytest.approx(60.0)
    early = TimeLeft([row("edits", "l2l", 1.0), row("edits", "llf", 10.0)])
    early.ended(["edits l2l"], 3.0)
    assert early.seconds() == 10.0, "too short to tell"


def test_phases_stand_in_their_order_with_what_is_still_to_compute() -> None:
    rows = [row("latents", "train", 1.0), row("train", "l2l", 2.0), row("train", "llf", 6.0), row("scores", "l2l", 1.0)]
    left = TimeLeft([*rows, row("matched", "noop", 0.0, state=THERE, spent=1.0)])
    left.ended(["latents train"], 1.0)
    assert left.phases(["train l2l", "train llf"], 0.25) == [
        Done("latents and labels", 1, 1, 1.0),
        Done("training", 0, 2, 0.25),
        Done("scores and report", 0, 1, 0.0),
    ]
    assert left.left_in("training") == ["train l2l", "train llf"]
    assert left.phase_of("train l2l") == "training" and left.phase_of("matched noop") == ""


def test_a_run_of_which_all_is_there_is_done() -> None:
    left = TimeLeft([row("edits", "l2l", 0.0, state=THERE, spent=3.0)])
    assert left.phases() == [] and left.seconds() == 0.0 and left.whole().share == 1.0
