"""The block of lines that shows a run on a terminal while it computes: a line for each phase, and one for the whole.

It shows nothing where nobody looks. The displays of the stages (`pipeline.progress`) appear in its lines.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.chain.work import PHASES, TRAINING
from pipeline.planning.time_left import Done, TimeLeft
from pipeline.progress import Display, in_time, shown_on

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

BAR = 20  # columns
PER_SECOND = 4  # times that the block is drawn


class RunBoard:
    """The phases of a run, the stages that are computed now, and the time that is left."""

    def __init__(self, left: TimeLeft) -> None:
        self.left = left
        self._began = time.monotonic()
        self._running: tuple[str, ...] = ()
        self._display: Display | None = None

    def began(self, titles: Collection[str]) -> None:
        """These stages are computed now."""
        self._running, self._display = tuple(titles), None

    def ended(self, titles: Collection[str], seconds: float) -> None:
        """These stages have ended, after so many seconds together."""
        self.left.ended(titles, seconds)
        self._running, self._display = (), None

    def show(self, display: Display) -> None:
        """The progress of the running stages, or of all trainings that run side by side."""
        self._display = display

    def close(self, display: Display) -> None:
        """A display has ended; its lines stay until its stages end."""

    @contextmanager
    def on(self, console: Console) -> Iterator[None]:
        """Show the block below all that is printed meanwhile, and take it away at the end."""
        with shown_on(self):
            if not console.is_terminal:
                yield
                return
            from rich.live import Live

            with Live(console=console, get_renderable=self.lines, refresh_per_second=PER_SECOND, transient=True):
                yield

    def lines(self) -> Table:
        """The block as it is now."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        running, share = self._progress()
        phases, whole = self.left.phases(running, share), self.left.whole(running, share)
        now = self.left.phase_of(self._running[0]) if self._running else ""
        block = Table.grid(padding=(0, 2, 0, 0), expand=True)
        block.add_column(no_wrap=True, min_width=max(map(len, PHASES)))
        block.add_column(no_wrap=True, min_width=BAR)
        block.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for done in phases:
            text = self._now(done) if done.name == now else _counted(done)
            style = "bold" if done.name == now else ""
            block.add_row(Text(done.name, style=style), ProgressBar(1.0, done.share, width=BAR), Text(text))
        block.add_row(
            Text("whole run"), ProgressBar(1.0, whole.share, width=BAR), Text(self._time(whole, running, share))
        )
        return block

    def _progress(self) -> tuple[Collection[str], float]:
        """The stages that the display is of, and its share."""
        display = self._display
        if display is None:
            return self._running, 0.0
        together = display.parts is not None
        return (self.left.left_in(TRAINING) if together else self._running), min(1.0, display.share)

    def _now(self, done: Done) -> str:
        """The progress of the phase that is computed now, in words."""
        if self._display is not None and self._display.parts is not None:
            return self._display.facts()
        facts = "" if self._display is None else f": {self._display.facts()}"
        return f"{done.ended} of {done.stages} · {self._running[0]}{facts}"

    def _time(self, whole: Done, running: Collection[str], share: float) -> str:
        spent, left = time.monotonic() - self._began, self.left.seconds(running, share)
        rest = "time left not known yet" if left is None else f"about {in_time(left)} left"
        return f"{100 * whole.share:.0f} %, {in_time(spent)} so far, {rest}"


def _counted(done: Done) -> str:
    return f"{done.ended} of {done.stages} {'methods' if done.name == TRAINING else 'stages'}"
