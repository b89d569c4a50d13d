"""Progress of a long computation: a bar on a terminal, otherwise a plain line every ten seconds.

Within a whole run its board shows the displays (`shown_on`), and these print nothing themselves.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

PLAIN_SECONDS = 10.0  # between two plain lines
SMOOTHING_SECONDS = 30.0  # the rate is measured over at least this much of the most recent time


class Board(Protocol):
    """What shows the displays of a whole run, one at a time."""

    def show(self, display: Display) -> None:
        """A display begins, or has changed."""

    def close(self, display: Display) -> None:
        """A display has ended."""


_boards: list[Board] = []


@contextmanager
def shown_on(board: Board) -> Iterator[None]:
    """Show every display of this process on a board, while the block lasts."""
    _boards.append(board)
    try:
        yield
    finally:
        _boards.remove(board)


class Display:
    """A progress display: units done and in total, rate and time left. Use it as a context manager.

    `unit` names what is counted, such as images. `before` units were done by an earlier attempt: they count as done,
    but not for the rate. `parts` is the number of things of unlike work, such as trainings, which `unit` then names:
    ended ones are counted (`ended`), and `total` is work. Without `timed` the work tells no time.
    """

    def __init__(
        self,
        title: str,
        total: float,
        unit: str,
        *,
        before: float = 0.0,
        parts: int | None = None,
        timed: bool = True,
        stream: TextIO | None = None,
    ):
        self.title, self.total, self.unit = title, total, unit
        self.parts, self.timed, self.ended = parts, timed, 0
        self.done = before
        self.stream = stream or sys.stderr
        self.note = ""
        self._before = before
        self._started = time.monotonic()
        self._marks = [(self._started, before)]
        self._last_line = self._started
        self._bar: Progress | None = None
        self._board = _boards[-1] if _boards else None

    def __enter__(self) -> Display:
        if self._board is not None:
            self._board.show(self)
        elif self.stream.isatty():
            console = Console(file=self.stream)
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), _Facts(self), TimeElapsedColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._bar.add_task(self.title, total=self.total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close(self)
            return
        if self._bar is not None:
            self._bar.stop()
        if kind is None:
            self._line(self.summary())

    def update(self, done: float, note: str = "") -> None:
        """Set the number of units done, and a note such as the loss."""
        now = time.monotonic()
        self.done = max(self.done, min(done, self.total))
        self.note = note or self.note
        if now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, self.done))
            while len(self._marks) > 2 and now - self._marks[1][0] > SMOOTHING_SECONDS:
                self._marks.pop(0)
        if self._board is not None:
            self._board.show(self)
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done)
        elif now - self._last_line >= PLAIN_SECONDS:
            self._last_line = now
            self._line(f"{self.title}: {self.facts()}")

    def rate(self) -> float:
        """Units per second over the most recent time; 0 before the first measurement."""
        since, base = self._marks[0]
        spent = time.monotonic() - since
        return (self.done - base) / spent if spent > 0 else 0.0

    def facts(self) -> str:
        """Units done and in total, rate, time left and note, as text."""
        rate = self.rate()
        if self.parts is not None:
            text = f"{self.ended} of {self.parts} {self.unit}, {100 * self.share:.0f} % of the work"
        else:
            share = f" ({100 * self.share:.0f} %)" if self.total else ""
            text = f"{self.done:,.0f} of {self.total:,.0f} {self.unit}{share}"
        if rate > 0 and self.timed:
            per_second = f", {in_rate(rate)}" if self.parts is None else ""
            text += f"{per_second}, {in_time((self.total - self.done) / rate)} left"
        return f"{text}, {self.note}" if self.note else text

    @property
    def share(self) -> float:
        """The share of the work that is done, 0 to 1."""
        return self.done / self.total if self.total else 0.0

    def summary(self) -> str:
        """The last line: units done by this attempt, time, rate, and units kept from an earlier attempt."""
        spent = time.monotonic() - self._started
        if self.parts is not None:
            return f"{self.title}: {self.ended} of {self.parts} {self.unit} in {in_time(spent)}"
        new = self.done - self._before
        kept = f", {self._before:,.0f} kept from before" if self._before else ""
        return f"{self.title}: {new:,.0f} {self.unit} in {in_time(spent)} ({in_rate(new / max(spent, 1e-9))}){kept}"

    def _line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class _Facts(ProgressColumn):
    """The display's text next to the bar."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self.display = display

    def render(self, task: Task) -> Text:
        return Text(self.display.facts())


def in_time(seconds: float) -> str:
    """A duration as text.

    >>> in_time(0.42), in_time(12), in_time(200), in_time(7500)
    ('0.4 s', '12 s', '3 min 20 s', '2 h 05 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 60:
        return f"{int(minutes)} min {int(seconds) % 60:02d} s"
    return f"{int(minutes // 60)} h {int(minutes) % 60:02d} min"


def in_rate(rate: float) -> str:
    """A rate, in units per second, as text; per minute or hour if it is slow.

    >>> in_rate(410), in_rate(2.4), in_rate(0.1)
    ('410/s', '2.4/s', '6.0/min')
    """
    if rate >= 100:
        return f"{rate:,.0f}/s"
    if rate >= 1:
        return f"{rate:.1f}/s"
    if rate * 60 >= 1:
        return f"{rate * 60:.1f}/min"
    return f"{rate * 3600:.1f}/h"
