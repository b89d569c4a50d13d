"""Do every fault to a small run, and write the table: fault, tried, right, lost, seconds.

    python -m benchmarks.faults                        all of them, half an hour on two idle cores; `make faults`
    python -m benchmarks.faults --only ctrl-c --only small-disk
    python -m benchmarks.faults --kills 10 --to DIR

Each result is saved as it comes, and the same command continues where it was stopped. Needs Linux; root to mount the
small disks; libfaketime for the clock. What a machine does not allow is `not tried` in the table, with the reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.faults import clusters, damage, disks, kills, limits, meanwhile, stops
from benchmarks.faults.ground import Ground
from benchmarks.faults.outcome import Case, Fault, NotPossibleError, Result, Results, table
from pipeline.storage.provenance import code_commit

PARTS = (kills, clusters, stops, disks, limits, damage, meanwhile)
FAULTS: list[Fault] = [fault for part in PARTS for fault in part.faults()]


def main() -> None:
    """Do what is left to do, and print the table. Exit code 1 if anything is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("build/faults"), help="folder of results and tries")
    parser.add_argument("--only", action="append", default=[], choices=[fault.name for fault in FAULTS])
    parser.add_argument("--case", action="append", default=[], help="only this case of the faults")
    parser.add_argument("--kills", type=int, default=50, help="processes killed with -9, of all kinds together")
    parser.add_argument("--seed", type=int, default=2022, help="of the random moments")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--table", action="store_true", help="do nothing, print the table of what is there")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    ground = Ground(given.to.absolute(), given.kills, given.seed, tuple(given.case))
    results = Results(ground.folder)
    for fault in () if given.table else FAULTS:
        if not given.only or fault.name in given.only:
            _do(fault, ground, results, again=given.again)
    text = table(FAULTS, results)
    (ground.folder / "faults.md").write_text(text)
    print(text)
    sys.exit(any(result.right < result.tried for result in results.all.values()))


def _do(fault: Fault, ground: Ground, results: Results, *, again: bool) -> None:
    """Every case of a fault that has no result."""
    for case in fault.cases(ground):
        known = (fault.name, case.name) in results.all
        if (again or not known) and (not ground.only or case.name in ground.only):
            result = _tried(fault, case, ground)
            results.add(result)
            said = "; ".join(result.notes) or result.skipped
            counts = f"{result.right} of {result.tried}, {result.seconds:.0f} s"
            print(f"{fault.name} {case.name}: {counts}. {said}", flush=True)


def _tried(fault: Fault, case: Case, ground: Ground) -> Result:
    _ = ground.undisturbed  # computed before the clock runs
    began, commit = time.monotonic(), code_commit()
    try:
        verdict = case.run(ground)
    except NotPossibleError as error:
        return Result(fault.name, case.name, commit, 0.0, skipped=f"not tried: {error}")
    seconds = round(time.monotonic() - began, 1)
    counts = {name: getattr(verdict, name) for name in ("tried", "right", "lost")}
    return Result(fault.name, case.name, commit, seconds, **counts, notes=list(verdict.notes))


if __name__ == "__main__":
    main()
