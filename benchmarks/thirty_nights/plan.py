"""What happens on each of the nights, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks.faults.processes import Command
from benchmarks.thirty_nights.plugin import DRIFTING, NIGHTS, STEPPING

COUNT = 30
CHANGED, DRIFTS_FROM = 10, 20  # nights, from 1: STEPPING changes, DRIFTING begins to drift
METHODS = (STEPPING, DRIFTING, "noop")
SIZES = {"n_latents": 512, "n_reference": 64, "n_spread": 64, "n_faces": 16, "n_steps": 3, "n_timings": 2}
PROTOCOL = {"bootstrap_samples": 200, "comparison_samples": 200, "kid_subset_size": 30, "kid_subsets": 5}


@dataclass(frozen=True)
class Mishap:
    """What goes wrong on a night. title: in words. codes: exit codes of the first command that count as right.

    damages: the file that is damaged before the night. strike: what is done while it runs. more: options of the
    first command. twice: whether another command for the same night begins with it. again: whether the same command
    is given once more, as a timer does. restored: whether the damaged file is put back when the night is over.
    """

    title: str
    codes: tuple[int, ...]
    damages: Callable[[Path], Path] | None = None
    strike: Callable[[Command, Path], None] | None = None
    more: tuple[str, ...] = ()
    twice: bool = False
    again: bool = False
    restored: bool = False


def kill_all(command: Command, outputs: Path) -> None:
    """kill -9 of the run and its workers once it has begun."""
    command.wait_for(lambda: "libarrow" in command.maps())
    command.send(9, group=True)


def ctrl_c(command: Command, outputs: Path) -> None:
    """Ctrl-C once the night's first files are read."""
    command.wait_for(lambda: "libarrow" in command.maps())
    command.wait(1.0)
    command.send(2, group=True)


def sigterm_while_measuring(command: Command, outputs: Path) -> None:
    """SIGTERM once the night measures."""
    command.wait_for(lambda: "libtorch" in command.maps())
    command.wait(3.0)
    command.send(15)


def kill_while_measuring(command: Command, outputs: Path) -> None:
    """kill -9 of all while the night measures."""
    command.wait_for(lambda: "libtorch" in command.maps())
    command.wait(3.0)
    command.send(9, group=True)


def kill_while_publishing(command: Command, outputs: Path) -> None:
    """kill -9 of all once the report is being written."""
    command.wait_for(lambda: any((outputs / ".publishing").glob("*")))
    command.send(9, group=True)


def stage_scores(outputs: Path) -> Path:
    """The scores of a stage."""
    return min(outputs.glob(f"stages/scores/{STEPPING}-*/scores-all.parquet"))


def newest_scores(outputs: Path) -> Path:
    """The scores that the newest night published."""
    return max(outputs.glob("reports/*/scores.parquet"))


MISHAPS: dict[int, Mishap] = {
    3: Mishap("kill -9 of the whole run", (-9,), strike=kill_all, again=True),
    6: Mishap("Ctrl-C", (130, -2), strike=ctrl_c, again=True),
    9: Mishap("a damaged file of a stage", (0,), damages=stage_scores),
    12: Mishap("a wrong setting, not put right that night", (2,), more=("--set", "protocol.confidence=2")),
    15: Mishap("a damaged report of the night before", (0,), damages=newest_scores, restored=True),
    18: Mishap("the same night begun twice", (0, 10), twice=True),
    21: Mishap("kill -9 while it measures", (-9,), strike=kill_while_measuring, again=True),
    24: Mishap("SIGTERM while it measures", (130, -2), strike=sigterm_while_measuring, again=True),
    27: Mishap("nobody takes its messages", (0, 1), more=("--set", "nights.webhook=http://127.0.0.1:9/")),
    30: Mishap("kill -9 while it publishes", (-9,), strike=kill_while_publishing, again=True),
}


def dates(last: date) -> list[date]:
    """The dates of the nights, the oldest first."""
    return [last - timedelta(days=COUNT - 1 - place) for place in range(COUNT)]


def options() -> list[str]:
    """The options of every night."""
    changes = [f"profile.smoke.{key}={value}" for key, value in SIZES.items()]
    changes += [f"protocol.{key}={value}" for key, value in PROTOCOL.items()]
    changes += ["machine.shard_size=256", "machine.executor=inline", "nights.pause_hours=0"]
    methods = [part for name in METHODS for part in ("--method", name)]
    return ["--profile", "smoke", *methods, "--attribute", "age", *(p for c in changes for p in ("--set", c))]


def version(number: int) -> int:
    """The version of STEPPING on a night."""
    return 2 if number >= CHANGED else 1


def settings_file(number: int, ours: str) -> str:
    """luigi.cfg of a night: ours, with the setting of DRIFTING, which its maintainer raises night after night."""
    return f"{ours}\n[method.{DRIFTING}]\n{NIGHTS} = {max(0, number - DRIFTS_FROM + 1)}\n"
