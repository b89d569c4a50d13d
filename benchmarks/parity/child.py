"""One process: the comparisons of one subject, each written as a line of JSON as soon as it is made.

    python -m benchmarks.parity.child ANSWERS SUBJECT FOLDER NAME ...

FOLDER is the checkout, or '-' for a subject without one.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import traceback
from pathlib import Path

from benchmarks.parity import loading
from benchmarks.parity.comparison import Comparison, Row, Subject, Verdict, left_out, outcome
from benchmarks.parity.registry import subject as subject_of


def main(answers: Path, name: str, folder: str, wanted: list[str]) -> None:
    """Make the wanted comparisons in their order."""
    subject = subject_of(name)
    absent = {library for one in subject.comparisons for library in one.needs if not importlib.util.find_spec(library)}
    if folder != "-":
        loading.open_checkout(Path(folder), subject.first)
    comparisons = {one.name: one for one in subject.comparisons}
    with answers.open("a") as lines:
        for key in wanted:
            row = compare(name, subject, comparisons[key], absent)
            lines.write(json.dumps(dataclasses.asdict(row)) + "\n")
            lines.flush()


def compare(name: str, subject: Subject, comparison: Comparison, absent: set[str]) -> Row:
    """One comparison's row, whatever happens in it."""
    missing = sorted(absent & set(comparison.needs))
    if missing:
        return left_out(name, comparison, Verdict.MISSING_LIBRARY, f"not installed: {', '.join(missing)}")
    try:
        return outcome(name, comparison, comparison.measure())
    except Exception as error:  # their code may raise anything; the row says what
        traceback.print_exc()
        return left_out(name, comparison, Verdict.FAILED, f"{type(error).__name__}: {error}"[:300])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
