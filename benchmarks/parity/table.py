"""The table, as Markdown that also reads well in a terminal, and the record of what it was made with."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.parity.comparison import FAULTS, MISSING, Row, Subject, Verdict

HEADINGS = ("comparison", "what", "n", "ours", "theirs", "largest difference", "bound", "verdict")
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "torchdiffeq", "clean-fid", "facenet-pytorch", "lpips")


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    difference = "" if row.difference is None else f"{number(row.difference)} ({row.unit})"
    bound = "" if row.bound is None else number(row.bound)
    verdict = row.verdict + (" (formula)" if row.how == "formula" else "")
    found = (row.name, row.what, row.n, row.ours, row.theirs, difference, bound, verdict)
    return tuple(cell.replace("|", "\\|") for cell in found)


def number(value: float) -> str:
    """Two digits."""
    return "0" if value == 0 else f"{value:.2g}"


def as_markdown(rows: Sequence[Row]) -> str:
    """All rows with their headings, columns as wide as their widest cell."""
    lines = [HEADINGS, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    written = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([written[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *written[1:]])


def record(row: Row) -> dict[str, Any]:
    """A row as JSON holds it: what is no number is a word there."""
    finite = row.difference is None or math.isfinite(row.difference)
    return dataclasses.asdict(row) | {"difference": row.difference if finite else str(row.difference)}


def remarks(rows: Sequence[Row]) -> list[str]:
    """What the table's cells do not hold: departures in words, why something was not compared, how to get it."""
    lines = []
    notes: dict[tuple[Verdict, str], list[str]] = {}
    for row in rows:
        if row.note:
            notes.setdefault((row.verdict, row.note), []).append(row.name)
    for (verdict, note), names in notes.items():
        if verdict == Verdict.MISSING_CHECKOUT:
            lines.append(f"missing checkout, {len(names)} comparisons of {names[0].partition('.')[0]} left out: {note}")
        else:
            lines.append(f"{verdict}: {', '.join(names)}: {note}")
    return lines


def summary(rows: Sequence[Row]) -> str:
    """How many rows came to what."""
    counts = Counter(row.verdict for row in rows)
    missing = sorted({row.name.partition(".")[0] for row in rows if row.verdict in MISSING})
    text = f"{len(rows)} comparisons: " + ", ".join(f"{counts[each]} {each}" for each in Verdict if counts[each])
    return text + (f" (of {', '.join(missing)})" if missing else "")


def status(rows: Sequence[Row]) -> int:
    """1 if something that should be the same is not, or could not be compared though its checkout is there."""
    return int(any(row.verdict in FAULTS for row in rows))


def environment() -> dict[str, str]:
    """Versions of what computed, and our commit."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            found[library] = "not installed"
    return found | {"latentbench": commit_of(Path(__file__).parents[2])}


def commit_of(folder: Path) -> str:
    """The commit that a folder is at, with '+' if files were changed; 'unknown' without git."""
    if not (folder / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--exclude", "*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return answer.stdout.strip() or "unknown"


def commits(subjects: dict[str, Subject], checkouts: Path) -> dict[str, dict[str, str]]:
    """For each checkout that is there: the commit compared last, and the one that it is at."""
    found = {}
    for subject in subjects.values():
        each = subject.checkout
        if each is not None and (checkouts / each.folder).is_dir():
            found[each.folder] = {
                "repository": each.repository,
                "tried": each.commit,
                "here": commit_of(checkouts / each.folder),
            }
    return found
