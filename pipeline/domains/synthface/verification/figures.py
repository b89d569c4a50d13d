"""Measured figures with their bars: the table as text and Parquet, and the tools of the measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.progress import in_time
from pipeline.storage.files import replacing
from pipeline.tables.parquet import write_table

Direction = Literal[">=", "<=", "=", ""]
Say = Callable[[str], None]

SCHEMA = pa.schema(
    [
        pa.field("bar", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("figure", pa.float64(), nullable=False),
        pa.field("limit", pa.float64()),
        pa.field("direction", pa.string(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("passes", pa.bool_()),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
    ],
    metadata={"latentbench.table": "verification", "version": "1"},
)


@dataclass(frozen=True)
class Figure:
    """One measured number, with its bar, its subject (an attribute, a network) and the number of samples.

    Without a direction it is only reported, and `passes` is None. `seconds` is the time of its measurement, divided
    evenly among the figures. A `detail` is in the file, but not in the table on screen.
    """

    bar: str
    subject: str
    figure: float
    n: int
    direction: Direction = ""
    limit: float | None = None
    note: str = ""
    seconds: float = 0.0
    detail: bool = False

    def __post_init__(self) -> None:
        if bool(self.direction) != (self.limit is not None):
            raise ValueError(f"{self.bar}, {self.subject}: a limit and its direction come together.")

    @property
    def passes(self) -> bool | None:
        """Whether the figure meets its limit; None without a limit. NaN fails."""
        if self.limit is None:
            return None
        met = {">=": self.figure >= self.limit, "<=": self.figure <= self.limit, "=": self.figure == self.limit}
        return bool(met[self.direction])


class BoundaryTrainer(Protocol):
    """Trains a boundary per attribute as InterFaceGAN does: w (N, 512), values (N, 35), a seed -> facts by attribute.

    The facts hold `trained`, `positives`, `negatives`, `validation_accuracy` and `remaining_accuracy`.
    """

    def __call__(self, w: Tensor, values: Tensor, seed: int) -> dict[str, dict[str, Any]]: ...


FrechetDistance = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Bench:
    """The tools of a group of measurements. Domains cannot import metrics and methods, so those are passed in.

    folder: of rendered faces. workers: number of rendering processes with one thread each. threads: of torch.
    """

    folder: Path
    workers: int
    threads: int
    frechet_distance: FrechetDistance
    boundaries: BoundaryTrainer
    say: Say = print

    def measure(self, what: str, measurement: Callable[[], Sequence[Figure]]) -> list[Figure]:
        """Run a measurement, print its time, and return its figures with their seconds."""
        self.say(f"  {what} ...")
        started = time.monotonic()
        found = list(measurement())
        seconds = time.monotonic() - started
        below = len(missed(found))
        self.say(
            f"  {what}: {in_time(seconds)}" + (f", {below} of {len(found)} figures miss their bar" if below else "")
        )
        return [replace(row, seconds=seconds / len(found)) for row in found]


def missed(rows: Iterable[Figure]) -> list[Figure]:
    """The figures that fail their bar."""
    return [row for row in rows if row.passes is False]


def exit_code(rows: Iterable[Figure]) -> int:
    """0 if every bar is met, otherwise 1."""
    return 1 if missed(rows) else 0


def summary(rows: Sequence[Figure]) -> str:
    """One line: how many bars are met, which are missed, and how many figures have no bar."""
    below = [f"{row.bar}: {row.subject}" for row in missed(rows)]
    barred = sum(row.passes is not None for row in rows)
    words = f"{barred - len(below)} of {barred} figures meet their bar, {len(rows) - barred} have none"
    return words + (f". Missed: {'; '.join(below)}" if below else "")


def as_lines(rows: Sequence[Figure]) -> list[str]:
    """The table as lines of text, without details: subject, figure, bar, n, passes, note."""
    head = ("what", "figure", "bar", "n", "passes", "note")
    verdict = {True: "yes", False: "NO", None: ""}
    cells = [head] + [
        (
            f"{row.bar}: {row.subject}" if row.subject else row.bar,
            _number(row.figure),
            f"{row.direction} {_number(row.limit)}" if row.limit is not None else "",
            f"{row.n:,}",
            verdict[row.passes],
            row.note,
        )
        for row in rows
        if not row.detail
    ]
    widths = [max(len(line[place]) for line in cells) for place in range(len(head) - 1)]
    right = (1, 3)
    return [
        "  ".join(
            [cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in enumerate(padded)]
            + [line[-1]]
        ).rstrip()
        for line in cells
        for padded in [list(zip(line, widths, strict=False))]
    ]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if not np.isfinite(value) or value == int(value) and abs(value) < 1e9:
        return f"{value:g}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.1e}"


def write(rows: Sequence[Figure], path: Path) -> None:
    """Write the figures as Parquet with SCHEMA, atomically. Raises ConfigError if the path cannot be written."""
    columns: dict[str, Any] = {
        name: [getattr(row, name) for row in rows] for name in SCHEMA.names if name not in ("figure", "seconds", "n")
    }
    columns["figure"] = np.array([row.figure for row in rows], dtype=np.float64)
    columns["seconds"] = np.array([row.seconds for row in rows], dtype=np.float64)
    columns["n"] = np.array([row.n for row in rows], dtype=np.int64)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            write_table(columns, SCHEMA, temporary)
    except OSError as error:
        raise ConfigError(
            f"Cannot write the figures to {path}: {error.strerror}. Name another file with --out."
        ) from error
