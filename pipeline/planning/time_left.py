"""How much of a run is done, and how long the rest may take, by the plan's rates and by what this run has measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from pipeline.chain.links import KIND
from pipeline.chain.work import PHASES

SURE_AFTER = 10.0  # seconds of finished stages after which they correct the plan


class StagePlan(Protocol):
    """What is read here of a stage of a plan (`plan.Planned`)."""

    @property
    def stage(self) -> str:
        """Its kind."""

    @property
    def title(self) -> str:
        """Its name."""

    @property
    def units(self) -> int:
        """How much work it is."""

    @property
    def unit(self) -> str:
        """In what that is counted."""

    @property
    def seconds(self) -> float | None:
        """Seconds that it takes, by the rates measured here."""

    @property
    def spent(self) -> float | None:
        """Seconds that it took; None for one that is not there."""


@dataclass(frozen=True)
class Done:
    """Stages that have ended, of how many, and the share of their work that is done, 0 to 1."""

    name: str
    ended: int
    stages: int
    share: float


class TimeLeft:
    """The stages that a planned run computes, as they end.

    A stage takes what the plan says. One whose rate was not measured yet takes as long, unit for unit, as others of its
    kind, in this run or before. What finished stages took next to what was expected corrects the rest.
    """

    def __init__(self, rows: Sequence[StagePlan]) -> None:
        self._rows = {row.title: row for row in rows if row.spent is None}
        self._took: dict[str, float] = {}
        self._per_unit: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            self._learn(row, row.seconds if row.spent is None else row.spent)

    def _learn(self, row: StagePlan, seconds: float | None) -> None:
        if seconds is not None and row.units:
            self._per_unit.setdefault((row.stage, row.unit), []).append(seconds / row.units)

    def ended(self, titles: Collection[str], seconds: float) -> None:
        """Stages have ended, after so many seconds together."""
        for title in titles:
            if title in self._rows:
                self._learn(self._rows[title], seconds / len(titles))
                self._took[title] = seconds / len(titles)

    def phase_of(self, title: str) -> str:
        """The phase of a stage that this run computes; empty for any other."""
        return KIND[self._rows[title].stage].phase if title in self._rows else ""

    def left_in(self, phase: str) -> list[str]:
        """The stages of a phase that have not ended."""
        return [title for title in self._rows if title not in self._took and self.phase_of(title) == phase]

    def seconds(self, running: Collection[str] = (), share: float = 0.0) -> float | None:
        """Seconds that are left, that share of the running stages being done; None while a rate is not known."""
        expected = {title: self._expected(row) for title, row in self._rows.items() if title not in self._took}
        left = [value * (1 - share * (title in running)) for title, value in expected.items() if value is not None]
        return self._correction() * sum(left) if len(left) == len(expected) else None

    def whole(self, running: Collection[str] = (), share: float = 0.0) -> Done:
        """All stages."""
        return self._done("whole run", list(self._rows), running, share)

    def phases(self, running: Collection[str] = (), share: float = 0.0) -> list[Done]:
        """The stages of every phase that this run computes, in their order."""
        groups = {phase: [title for title in self._rows if self.phase_of(title) == phase] for phase in PHASES}
        return [self._done(phase, titles, running, share) for phase, titles in groups.items() if titles]

    def _done(self, name: str, titles: list[str], running: Collection[str], share: float) -> Done:
        """Work is expected seconds where all of them are known, else each stage counts alike."""
        expected = [self._expected(self._rows[title]) for title in titles]
        known = [value for value in expected if value is not None]
        work = known if len(known) == len(titles) and sum(known) > 0 else [1.0] * len(titles)
        parts = [1.0 if title in self._took else share * (title in running) for title in titles]
        done = sum(part * one for part, one in zip(parts, work, strict=True))
        ended = sum(title in self._took for title in titles)
        return Done(name, ended, len(titles), done / sum(work) if work else 1.0)

    def _expected(self, row: StagePlan) -> float | None:
        if row.seconds is not None:
            return row.seconds
        rates = self._per_unit.get((row.stage, row.unit))
        return median(rates) * row.units if rates else None

    def _correction(self) -> float:
        """What finished stages took, by what the plan said of them."""
        planned = {title: self._rows[title].seconds for title in self._took}
        expected = sum(seconds for seconds in planned.values() if seconds is not None)
        took = sum(self._took[title] for title, seconds in planned.items() if seconds is not None)
        return took / expected if took > SURE_AFTER and expected > 0 else 1.0
