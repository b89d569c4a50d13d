"""The command line: `python -m benchmarks.parity --checkouts DIR`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.parity import table
from benchmarks.parity.comparison import Row, Subject
from benchmarks.parity.registry import chosen
from benchmarks.parity.running import run_all


def main(arguments: list[str] | None = None) -> int:
    """Compare and print; 1 if something that should be the same is not, 2 if the call makes no sense."""
    parser = parser_of()
    options = parser.parse_args(arguments)
    try:
        subjects = chosen(options.only)
    except KeyError as error:
        parser.error(str(error.args[0]))
    if options.list:
        print(listing(subjects))
        return 0
    if options.checkouts is None:
        parser.error("--checkouts DIR is needed: the folder that holds the checkouts. --list names them.")
    if not options.checkouts.is_dir():
        parser.error(f"--checkouts {options.checkouts}: no such folder. Make it, and clone into it what --list names.")
    rows: list[Row] = []
    for row in run_all(subjects, options.checkouts):
        rows.append(row)
        print(f"{row.verdict:17}{row.name}", file=sys.stderr, flush=True)
    print(table.as_markdown(rows), "", *table.remarks(rows), "", table.summary(rows), sep="\n")
    if options.json:
        record = {
            "environment": table.environment(),
            "checkouts": table.commits(subjects, options.checkouts),
            "rows": [table.record(row) for row in rows],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return table.status(rows)


def parser_of() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parity",
        description="Our numbers beside those of the authors' own code. This executes the code of the checkouts.",
    )
    parser.add_argument("--checkouts", type=Path, metavar="DIR", help="the folder that holds the checkouts")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a subject or a comparison; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write rows, versions and commits there too")
    parser.add_argument("--list", action="store_true", help="name all comparisons and checkouts, and stop")
    return parser


def listing(subjects: dict[str, Subject]) -> str:
    """All comparisons by subject, with where each checkout is to be had."""
    lines = []
    for name, subject in subjects.items():
        lines.append(f"{name}: {subject.checkout.how_to_get_it() if subject.checkout else 'installed libraries'}")
        for one in subject.comparisons:
            more = " (formula)" if one.formula else ""
            lines.append(f"  {name}.{one.name}: {one.what}{more}")
        lines += [f"  on our side: {shim}" for shim in subject.shims]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
