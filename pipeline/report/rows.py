"""Rows for the terminal: a table where its columns fit, else one block for each row; nothing is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

WIDEST = 10_000  # columns of a table that no terminal shows


def print_rows(rows: pd.DataFrame, console: Console) -> None:
    """Print rows: a line each into a file or another program, on a terminal as they fit, by whole words."""
    from rich.text import Text

    table = text_table(rows)
    if not console.is_terminal or columns_of(table, console).minimum <= console.width:
        print_fitted(table, console, wide=not console.is_terminal)
        return
    longest = max(len(str(name)) for name in rows.columns)
    for number, row in enumerate(rows.itertuples(index=False, name=None), start=1):
        console.print(Text(f"row {number} of {len(rows)}", style="bold"))
        for name, value in zip(rows.columns, row, strict=True):
            console.print(Text(f"  {str(name).ljust(longest)}  {shown(value)}"), soft_wrap=True)


def columns_of(table: Table, console: Console) -> Measurement:
    """Columns of a terminal that a table takes: the fewest that cut no word, and those with every row on one line."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=WIDEST), table)


def print_fitted(table: Table, console: Console, *, wide: bool = False) -> None:
    """Print a table as wide as the console, wider only to cut no word; with `wide`, with every row on one line.

    The columns are given their widths here: rich narrows the widest first, through the middle of its words.
    """
    from rich.measure import Measurement

    bounds = columns_of(table, console)
    width = bounds.maximum if wide else min(max(console.width, bounds.minimum), bounds.maximum)
    options, spare = console.options.update(max_width=WIDEST), width - bounds.minimum
    for column in table.columns:
        cells = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
        most = max(cell.maximum for cell in cells)
        least = most if column.no_wrap else max(cell.minimum for cell in cells)
        column.width = min(most, least + spare)
        spare -= column.width - least
    before = console.width
    console.width = max(width, before)  # a narrower terminal wraps the lines, or scrolls
    console.print(table)
    console.width = before


def text_table(rows: pd.DataFrame) -> Table:
    """Rows for the terminal: numbers to the right, with five digits."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numeric = [pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in rows.dtypes]
    for name, right in zip(rows.columns, numeric, strict=True):
        table.add_column(Text(str(name)), justify="right" if right else "left", overflow="fold")
    for row in rows.itertuples(index=False, name=None):
        table.add_row(*(Text(shown(value)) for value in row))
    return table


def shown(value: object) -> str:
    """A value as people read it: numbers with five digits, nothing for what is missing."""
    if value is None or (isinstance(value, float) and value != value) or value is pd.NaT or value is pd.NA:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
