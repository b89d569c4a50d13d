"""What is shown while shards are computed."""

from __future__ import annotations

import io

import pytest

from pipeline import progress
from pipeline.progress import Display, in_rate, in_time


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_plain_lines_come_every_ten_seconds_and_at_the_end(clock: Clock) -> None:
    stream = io.StringIO()
    with Display("synthface labels", 1000, "images", stream=stream) as display:
        for second in range(1, 26):
            clock.now += 1
            display.update(20 * second, "batch")
    assert stream.getvalue().splitlines() == [
        "synthface labels: 200 of 1,000 images (20 %), 20.0/s, 40 s left, batch",
        "synthface labels: 400 of 1,000 images (40 %), 20.0/s, 30 s left, batch",
        "synthface labels: 500 images in 25 s (20.0/s)",
    ]


def test_what_was_there_before_counts_as_done_and_not_in_the_rate(clock: Clock) -> None:
    stream = io.StringIO()
    with Display("labels", 1000, "images", before=600, stream=stream) as display:
        clock.now += 10
        display.update(700)
        assert display.rate() == 10
        clock.now += 30
        display.update(1000)
    assert stream.getvalue().splitlines()[-1] == "labels: 400 images in 40 s (10.0/s), 600 kept from before"


def test_the_rate_is_that_of_the_newest_stretch(clock: Clock) -> None:
    display = Display("labels", 10_000, "images", stream=io.StringIO())
    for second in range(1, 201):
        clock.now += 1
        display.update(second if second <= 100 else 100 + 10 * (second - 100))
    assert display.rate() == pytest.approx(10, rel=0.05)


def test_done_never_goes_back_nor_over_the_total(clock: Clock) -> None:
    display = Display("labels", 10, "images", stream=io.StringIO())
    display.update(8)
    display.update(3)
    assert display.done == 8
    display.update(12)
    assert display.done == 10


def test_things_of_unlike_work_are_counted_when_they_end(clock: Clock) -> None:
    display = Display("train 3 methods", 60.0, "methods", parts=3, stream=io.StringIO())
    clock.now += 10
    display.update(20.0)
    assert display.facts() == "0 of 3 methods, 33 % of the work, 20 s left"
    display.ended = 1
    assert display.facts().startswith("1 of 3 methods, 33 %")
    assert display.summary() == "train 3 methods: 1 of 3 methods in 10 s"


def test_work_that_tells_no_time_has_none(clock: Clock) -> None:
    display = Display("train 3 methods", 3.0, "methods", parts=3, timed=False, stream=io.StringIO())
    clock.now += 10
    display.update(1.5)
    assert display.facts() == "0 of 3 methods, 50 % of the work"


def test_an_error_has_the_last_word(clock: Clock) -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError), Display("labels", 10, "images", stream=stream):
        raise ValueError
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with Display("labels", 10, "images", stream=stream) as display:
        display.update(5, "batch 1")
    assert "5 of 10 images (50 %)" in stream.getvalue()
    assert stream.getvalue().splitlines()[-1].endswith("/s)")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.4 s"), (42.4, "42 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_time_in_words(seconds: float, words: str) -> None:
    assert in_time(seconds) == words


@pytest.mark.parametrize(("rate", "words"), [(1234.5, "1,234/s"), (2.44, "2.4/s"), (0.5, "30.0/min"), (0.01, "36.0/h")])
def test_rates_in_words(rate: float, words: str) -> None:
    assert in_rate(rate) == words
