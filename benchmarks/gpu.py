"""Everything that only a GPU can show, in one command of at most 8 minutes: a Markdown table, exit status 1 on a fault.

    python -m benchmarks.gpu --device cuda > gpu.md
    python -m benchmarks.gpu --device cpu        rehearses it at small sizes

Each check runs in a process of its own, with a time budget; a check that fails, crashes or exceeds its budget is a row
of the table, and the others go on. `benchmarks/gpu_checks.py` has the checks. The budgets sum to 8 minutes; on a CPU
each is three times as long, since other work may run on it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
REFERENCE_VARIABLE = "LATENTBENCH_NVIDIA_REFERENCE"
PASSED, FAILED, LEFT_OUT = "passed", "FAILED", "left out"
REHEARSAL = 3  # times the budgets, on a CPU
MOST_SECONDS = 480  # all budgets together
MARK = "found: "  # begins the line of a check's process that holds its figures


@dataclass(frozen=True)
class Check:
    """A check: its name on the command line, what it shows, and its budget in seconds on a GPU."""

    name: str
    what: str
    seconds: int


CHECKS = (
    Check("equality", "the same images and scores as on the CPU", 45),
    Check("half", "half precision against full", 35),
    Check("nvidia", "NVIDIA's code next to ours", 110),
    Check("passes", "label pass and edit pass against the generator alone", 45),
    Check("training", "training steps of L2L and LLF", 50),
    Check("memory", "too little memory halves the micro-batches", 25),
    Check("processes", "two processes on one card", 40),
    Check("smoke", "a smoke run, published", 130),
)


@dataclass(frozen=True)
class Row:
    """What came of a check; `found`: its figures, or what went wrong."""

    check: Check
    result: str
    found: str
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks, print the table; 1 if one failed."""
    given = parse_arguments(arguments)
    print(heading(given.device), flush=True)
    rows = []
    for check in CHECKS:
        if given.only and check.name not in given.only:
            continue
        row = run_check(check, given.device)
        print(as_line(row), flush=True)
        rows.append(row)
    failed = [row.check.name for row in rows if row.result == FAILED]
    counts = [f"{sum(row.result == result for row in rows)} {result}" for result in (PASSED, FAILED, LEFT_OUT)]
    names = f": {', '.join(failed)}" if failed else ""
    print(f"\n{', '.join(counts)}, in {sum(row.seconds for row in rows):.0f} s{names}")
    return 1 if failed else 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a rehearsal at small sizes")
    parser.add_argument("--only", action="append", choices=[check.name for check in CHECKS], help="repeat for several")
    return parser.parse_args(arguments)


def heading(device: str) -> str:
    """The card, the versions, and the head of the table."""
    card = facts_of_card() if device.startswith("cuda") else f"no card: a rehearsal on {os.cpu_count()} cores of a CPU"
    return (
        f"**{card}**, torch {installed('torch')}, Python {sys.version.split()[0]}\n\n"
        "| check | result | found | seconds |\n| --- | --- | --- | --- |"
    )


def facts_of_card() -> str:
    """Name, memory and driver of the cards, by nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "card unknown: nvidia-smi is not here"
    question = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"card unknown: nvidia-smi: {error}"
    cards = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode or not cards:
        return f"card unknown: nvidia-smi: {(answer.stdout + answer.stderr).strip()[:200]}"
    texts = []
    for card in cards:
        name, memory, driver = (part.strip() for part in card.rsplit(",", 2))
        texts.append(f"{name}, {memory}, driver {driver}")
    return "; ".join(texts)


def installed(package: str) -> str:
    """The version of a package, or that it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def run_check(check: Check, device: str) -> Row:
    """Run a check in a process of its own, for as long as its budget allows."""
    if check.name == "nvidia" and not os.environ.get(REFERENCE_VARIABLE):
        found = f"{REFERENCE_VARIABLE} names no checkout of stylegan2-ada-pytorch"
        return Row(check, LEFT_OUT, found, 0.0)
    budget = check.seconds * (1 if device.startswith("cuda") else REHEARSAL)
    command = [sys.executable, "-m", "benchmarks.gpu_checks", check.name, "--device", device]
    return in_time(check, command, budget)


def in_time(check: Check, command: Sequence[str], budget: float) -> Row:
    """The row of a check whose process is this command; after the budget the process and its children are ended."""
    started = time.perf_counter()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},  # what a crash has printed is seen
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=budget)
            over = False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            over = True
    seconds = time.perf_counter() - started
    if over:
        return Row(check, FAILED, f"not done after {budget:.0f} s; last words: {last_words(output)}", seconds)
    figures = [line.removeprefix(MARK) for line in output.splitlines() if line.startswith(MARK)]
    if process.returncode or not figures:
        return Row(check, FAILED, f"exit status {process.returncode}: {last_words(output)}", seconds)
    return Row(check, PASSED, "; ".join(json.loads(figures[-1])), seconds)


def last_words(output: str) -> str:
    """The last line of an output that says something, at most 300 characters of it."""
    lines: Iterable[str] = (line.strip() for line in reversed(output.splitlines()))
    return next((line[:300] for line in lines if line), "nothing was printed")


def as_line(row: Row) -> str:
    """The row of the table."""
    found = row.found.replace("|", "\\|")
    return f"| {row.check.what} | {row.result} | {found} | {row.seconds:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
