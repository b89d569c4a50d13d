"""What was tried, what was right, and the table of it. Each result is saved as it comes, so that a stop loses none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.faults.ground import Ground

RESULTS = "results.jsonl"


class NotPossibleError(Exception):
    """This machine does not allow the fault; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """How often a fault was tried, how often all was right, how many published stages had to be computed again.

    notes: what was not right, or what a reader should know.
    """

    tried: int = 1
    right: int = 1
    lost: int = 0
    notes: tuple[str, ...] = ()


def verdict(faults: Sequence[str], lost: int = 0, tried: int = 1) -> Verdict:
    """All tries right if there is no fault, else none."""
    return Verdict(tried, 0 if faults else tried, lost, tuple(faults))


@dataclass(frozen=True)
class Case:
    """One try: its name among those of its fault, and what does it. Raises NotPossibleError."""

    name: str
    run: Callable[[Ground], Verdict]


@dataclass(frozen=True)
class Fault:
    """A kind of fault. name: as `--only` takes it. title: as the table says it. cases: its tries."""

    name: str
    title: str
    cases: Callable[[Ground], Iterable[Case]]


@dataclass(frozen=True)
class Result:
    """The verdict on one case. skipped: why it was not tried."""

    fault: str
    case: str
    commit: str
    seconds: float
    tried: int = 0
    right: int = 0
    lost: int = 0
    notes: list[str] = field(default_factory=list)
    skipped: str = ""


class Results:
    """The results of a folder, one JSON object in each line; of one case the last counts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / RESULTS
        self.all: dict[tuple[str, str], Result] = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            result = Result(**json.loads(line))
            self.all[result.fault, result.case] = result

    def add(self, result: Result) -> None:
        """Save one more."""
        self.all[result.fault, result.case] = result
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def of(self, fault: str) -> list[Result]:
        """The results of a fault, in the order of its cases."""
        return [result for result in self.all.values() if result.fault == fault]


def table(faults: Sequence[Fault], results: Results) -> str:
    """The Markdown table, and below it what was not right.

    `lost` counts published stages that had to be computed again; damaged ones must be.
    """
    lines = ["| fault | tried | right | lost | seconds | commit |", "|---|---:|---:|---:|---:|---|"]
    lines += [_row(fault.title, results.of(fault.name)) for fault in faults]
    notes = [line for fault in faults for line in _notes(fault.title, results.of(fault.name))]
    return "\n".join([*lines, *(["", "Not right, or not tried:", "", *notes] if notes else [])]) + "\n"


def _row(title: str, results: Sequence[Result]) -> str:
    tried = sum(result.tried for result in results)
    if not tried:
        return f"| {title} | not tried | | | | |"
    right, lost = (sum(getattr(result, name) for result in results) for name in ("right", "lost"))
    commits = ", ".join(dict.fromkeys(short(result.commit) for result in results))
    return f"| {title} | {tried} | {right} | {lost} | {sum(result.seconds for result in results):.0f} | {commits} |"


def short(commit: str) -> str:
    """A commit for a table; one with changes on top says so.

    >>> short("7c6177bd0f1e2d3c4b5a" + "+changes")
    '7c6177b+changes'
    """
    return commit[:7] + ("+changes" if commit.endswith("+changes") else "")


def _notes(title: str, results: Sequence[Result]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for result in results:
        for note in [*result.notes, *([result.skipped] if result.skipped else [])]:
            reasons.setdefault(note, []).append(result.case)
    for note, cases in reasons.items():
        yield f"- {title} ({', '.join(cases)}): {note}"
