"""What became of each night: its commands, its report or the reason why there is none, the disk that it took."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

NIGHTS = "nights.json"


@dataclass
class NightRecord:
    """One night. codes, seconds: of its commands. reason: why it has no report. mib: disk taken when it was over."""

    number: int
    date: str
    mishap: str = ""
    codes: list[int] = field(default_factory=list)
    seconds: float = 0.0
    report: str = ""
    reason: str = ""
    verdict: str = ""
    findings: list[list[str]] = field(default_factory=list)  # [method, kind, verdict, cause], one for each score
    faults: list[str] = field(default_factory=list)
    mib: float = 0.0


def load(folder: Path) -> list[NightRecord]:
    """The nights that are over."""
    path = folder / NIGHTS
    return [NightRecord(**entry) for entry in json.loads(path.read_text())] if path.exists() else []


def save(folder: Path, nights: Sequence[NightRecord]) -> None:
    """Keep them."""
    (folder / NIGHTS).write_text(json.dumps([asdict(night) for night in nights], indent=1) + "\n")


def disk(folder: Path) -> float:
    """MiB of all files of a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
