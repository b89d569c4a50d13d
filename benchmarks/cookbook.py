"""Write the first rows of each answer on the reference run into the cookbook, under the question's SQL.

python -m benchmarks.cookbook reference/synthface-smoke.tar.xz docs/howto/cookbook.md
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import pyarrow as pa

import latentbench
from pipeline.report.query import query_table
from pipeline.report.rows import shown

EVERY_RUN = "-- every run\n"
ROWS = 4  # of an answer that are shown
# A question's SQL, and the table under it.
ASKED = re.compile(r"^```sql\n(.*?)^```\n\n((?:\|[^\n]*\n)+\n)?", re.M | re.S)


def main() -> None:
    """Write the cookbook again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a packed run, NAME.tar.xz")
    parser.add_argument("cookbook", type=Path, help="the page whose answers are written again")
    given = parser.parse_args()
    text = given.cookbook.read_text(encoding="utf-8")
    given.cookbook.write_text(with_answers(text, given.run), encoding="utf-8")


def with_answers(text: str, run: Path) -> str:
    """A cookbook with the first rows of each answer on a packed run; none for a question that has no answer there."""
    with tempfile.TemporaryDirectory() as temporary:
        latentbench.unpack(run, temporary)

        def answered(match: re.Match[str]) -> str:
            sql = match[1]
            rows = query_table(Path(temporary), sql, all_runs=sql.startswith(EVERY_RUN))
            return f"```sql\n{sql}```\n\n{markdown_table(rows.slice(0, ROWS))}"

        return ASKED.sub(answered, text)


def markdown_table(rows: pa.Table) -> str:
    """Rows as a table of Markdown and an empty line, numbers with three digits; empty without rows."""
    if not rows.num_rows:
        return ""
    lines = [rows.column_names, ["---"] * rows.num_columns]
    lines += [[_cell(value) for value in row.values()] for row in rows.to_pylist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) and value == value else shown(value)


if __name__ == "__main__":
    main()
