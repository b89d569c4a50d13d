"""One process per repository; a comparison that takes its process down is one row, and the others go on without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.parity.comparison import Comparison, Row, Subject, Verdict, left_out

ROOT = Path(__file__).parents[2]
LIMIT = 1800  # seconds that one process may take
SHOWN = 4  # last lines of a crashed process


def run_all(subjects: dict[str, Subject], checkouts: Path) -> Iterator[Row]:
    """Every comparison's row, in order, as it is made."""
    for name, subject in subjects.items():
        checkout = subject.checkout
        if checkout is None:
            yield from run_subject(name, subject, None)
        elif (checkouts / checkout.folder).is_dir():
            yield from run_subject(name, subject, checkouts / checkout.folder)
        else:
            for comparison in subject.comparisons:
                yield left_out(name, comparison, Verdict.MISSING_CHECKOUT, checkout.how_to_get_it())


def run_subject(name: str, subject: Subject, folder: Path | None) -> Iterator[Row]:
    """The rows of one subject."""
    left = list(subject.comparisons)
    while left:
        rows, end = run_child(name, folder, left)
        yield from rows
        left = left[len(rows) :]
        if left:
            yield left_out(name, left.pop(0), Verdict.FAILED, end)


def run_child(name: str, folder: Path | None, comparisons: list[Comparison]) -> tuple[list[Row], str]:
    """The rows that one process answered before it ended, and how it ended, in words.

    It works in an empty folder of its own, so that what their code writes beside itself is gone afterwards.
    """
    with tempfile.TemporaryDirectory() as own:
        answers = Path(own) / "answers.jsonl"
        answers.touch()
        work = Path(own) / "work"
        work.mkdir()
        place = "-" if folder is None else str(folder.resolve())
        command = [sys.executable, "-m", "benchmarks.parity.child", str(answers), name, place]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg"}
        environment["PYTHONUNBUFFERED"] = "1"  # what a crash has printed is seen
        try:
            process = subprocess.run(
                [*command, *(one.name for one in comparisons)],
                cwd=work,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=LIMIT,
            )
            said = [line.strip() for line in process.stdout.splitlines() if line.strip()]
            end = f"its process ended with {process.returncode}: " + " | ".join(said[-SHOWN:])
        except subprocess.TimeoutExpired:
            end = f"its process took more than {LIMIT} s"
        lines = answers.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [Row(**(row | {"verdict": Verdict(row["verdict"])})) for row in rows], end
