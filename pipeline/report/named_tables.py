"""Every table of a run under a name that people type: `latentbench report --table NAME`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.errors import UnknownNameError
from pipeline.report.contents import Contents
from pipeline.report.grids import Grid, short
from pipeline.report.leaderboard import leaderboard
from pipeline.report.sections import TextTable, sections
from pipeline.report.terminal import print_grid, print_leaderboard
from pipeline.report.terminal_board import terminal_board

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

BOARD = "leaderboard"
NamedTable = Grid | TextTable


def named_tables(contents: Contents) -> dict[str, NamedTable]:
    """Every table of the run by name: the leaderboard, then the tables of each section in the order of the page.

    A table of scores is named after its key on the page, without the protocol of the paper and without the network
    where no other table has that name.
    """
    board = leaderboard(contents)
    grids = [grid for section in sections() for grid in section.tables(contents)]
    named: dict[str, NamedTable] = {} if board is None else {BOARD: terminal_board(board)}
    named |= dict(zip(_names(grids), grids, strict=True))
    lists = [table for section in sections() for table in section.lists(contents) if table.rows]
    return named | {_slug(table.title): table for table in lists}


def _names(grids: Sequence[Grid]) -> list[str]:
    """A name for each grid, no two alike."""
    keys = [grid.key.removesuffix(f"-{grid.network}") for grid in grids]
    plain = [key.removeprefix(f"{grid.protocol}-") for key, grid in zip(keys, grids, strict=True)]
    keys = [bare if plain.count(bare) == keys.count(key) else key for bare, key in zip(plain, keys, strict=True)]
    shared = Counter(keys)
    return [
        f"{key}-{short(grid.network, grid.domain)}" if shared[key] > 1 else key
        for key, grid in zip(keys, grids, strict=True)
    ]


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def meaning(table: NamedTable) -> str:
    """What a table shows, in one line."""
    return "One row per method, over all attributes" if isinstance(table, Grid) and table.key == BOARD else table.title


def find_table(tables: Mapping[str, NamedTable], name: str) -> NamedTable:
    """The table of that name. Raises UnknownNameError, which suggests the closest name."""
    if name not in tables:
        raise UnknownNameError("table", name, tables)
    return tables[name]


def print_table(table: NamedTable, console: Console) -> None:
    """Print a table in full, methods down."""
    if isinstance(table, Grid) and table.key == BOARD:
        print_leaderboard(table, console)
    elif isinstance(table, Grid):
        print_grid(table, console)
    else:
        console.print(_as_text(table))


def _as_text(table: TextTable) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=Text(table.title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_lines=False,
    )
    for name in table.head:
        shown.add_column(Text(name), overflow="fold")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown


def list_tables(tables: Mapping[str, NamedTable], console: Console) -> None:
    """Print the name of every table and its contents, a line each."""
    from rich.text import Text

    width = max(map(len, tables))
    for name, table in tables.items():
        line = Text(name.ljust(width + 2), style="bold").append(meaning(table), style="not bold")
        console.print(line, no_wrap=True, overflow="ellipsis")
