"""What a run prints: one leaderboard in few lines, or any table in full; no number is cut."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from pipeline.report import grids, page, terminal
from pipeline.report.contents import Contents, contents_of
from pipeline.report.leaderboard import leaderboard
from pipeline.report.sections import paper
from pipeline.report.terminal_board import terminal_board
from pipeline.tables.parquet import write_table
from pipeline.tables.schemas import PUBLISHED, SCORES
from tests.builders import random_run

MANY = 14


@cache
def contents() -> Contents:
    return contents_of(random_run.whole())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_run.publish_folder(tmp_path_factory.mktemp("run"), "20261120T031500Z-1a2b3c4d", random_run.whole())


def summary(folder: Path, **console: object) -> str:
    text = io.StringIO()
    terminal.print_summary(folder, Console(file=text, **console))  # type: ignore[arg-type]
    return text.getvalue()


def printed(grid: grids.Grid, width: int) -> str:
    text = io.StringIO()
    terminal.print_grid(grid, Console(file=text, width=width))
    return text.getvalue()


def board(methods: int = 0) -> grids.Grid:
    """The leaderboard for a terminal; with so many methods, the first of the run again and again, and no control."""
    found = leaderboard(contents())
    assert found is not None
    grid = terminal_board(found)
    if not methods:
        return grid
    rows = tuple(replace(row, cells=(row.cells[0],) * methods) for row in grid.rows)
    names = tuple(f"method_number_{n:02d}" for n in range(methods))
    return replace(grid, methods=names, controls=frozenset(), rows=rows)


def test_a_run_fits_in_forty_lines_of_a_hundred_columns(folder: Path) -> None:
    lines = summary(folder, width=100).splitlines()
    rows = [line for line in lines if line.split()[:1] and line.split()[0] in contents().methods]
    assert len(rows) == len(contents().methods), "a line for each method"
    assert len(lines) - len(rows) + MANY <= 40
    assert max(map(len, lines)) <= 100


def test_a_file_gets_the_text_of_a_terminal_without_colours(folder: Path) -> None:
    plain, wide = summary(folder, width=100), summary(folder, width=140)
    coloured = summary(folder, width=120, force_terminal=True, legacy_windows=False)
    assert "\x1b" not in plain and "\x1b" in coloured
    assert wide == plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_a_summary_says_sizes_leaderboard_controls_and_where_the_rest_is(folder: Path) -> None:
    shown = " ".join(summary(folder, width=100).split())
    for part in ("profile smoke", "2,048 labelled latents instead of 400,000", "leakage", "Control noop", "--table"):
        assert part in shown
    cell = board().rows[0].cells[0]
    assert cell is not None and f" {cell.value:.2f}" in shown


def test_a_packed_run_has_no_page_to_name(tmp_path: Path) -> None:
    for name, table in random_run.whole().items():
        write_table(table, PUBLISHED[name], tmp_path / f"{name}.parquet")
    assert "Page:" not in summary(tmp_path, width=100)


def test_controls_stand_apart_under_the_best_methods() -> None:
    text = io.StringIO()
    terminal.print_leaderboard(board(), Console(file=text, width=100))
    lines = [line.strip() for line in text.getvalue().splitlines()]
    first = [next(n for n, line in enumerate(lines) if line.startswith(f"{name} ")) for name in board().methods]
    assert first == sorted(first) and len(first) == 4
    assert [line for line in lines[first[1] : first[2]] if not line], "an empty line before the controls"


def test_of_too_many_methods_a_summary_shows_the_first_and_says_where_the_others_are() -> None:
    text = io.StringIO()
    terminal.print_leaderboard(board(20), Console(file=text, width=100), most=16)
    shown = text.getvalue()
    assert shown.count("method_number_") == 16 and "method_number_16" not in shown
    assert "4 more methods: latentbench report --table leaderboard" in shown


def test_the_best_and_the_flagged_are_marked_without_a_colour() -> None:
    cells = [grids.Cell(value, None, None, flag, 12, 60) for value, flag in ((0.1, "few"), (0.2, ""), (0.3, ""))]
    marked = grids.mark_best(cells, "lower", [True] * 3)
    row = grids.Row("identity distance", marked, "1", "lower", 2)
    grid = replace(board(3), rows=(row,))
    text = io.StringIO()
    terminal.print_leaderboard(grid, Console(file=text, width=100))
    shown = text.getvalue()
    assert "0.10⚑" in shown and "0.20*" in shown and "⚑ few: method_number_00" in shown


@pytest.mark.parametrize("width", [40, 70, 110])
def test_no_number_is_cut_however_narrow_the_terminal(width: int) -> None:
    grid = paper.identity_grids(contents())[0]
    shown = printed(grid, width)
    assert "…" not in shown
    for row in grid.rows:
        for cell in row.cells:
            assert cell is not None and grids.number(cell.value, row.decimals) in shown


@pytest.mark.parametrize(("width", "tables"), [(130, 1), (100, 2), (60, 3)])
def test_methods_stand_down_in_as_many_tables_as_the_width_needs(width: int, tables: int) -> None:
    grid = paper.identity_grids(contents())[0]
    names = tuple(f"method_number_{n}" for n in range(MANY))
    rows = tuple(replace(row, cells=(row.cells * 4)[:MANY]) for row in grid.rows)
    lines = printed(replace(grid, methods=names, controls=frozenset(), rows=rows), width).splitlines()
    assert max(map(len, lines)) <= width
    assert [sum(line.strip().startswith(f"{name} ") for line in lines) for name in names] == [tables] * MANY


def test_a_run_with_stand_ins_says_so_on_the_terminal_and_the_page(tmp_path: Path) -> None:
    tables = random_run.tables()
    assert not contents_of(tables).stand_in_warning
    scores = tables["scores"].to_pylist()
    scores[0]["network"] = "stand-in-lpips-alex-1a2b3c4d"
    tables["scores"] = pa.Table.from_pylist(scores, schema=SCORES)
    assert contents_of(tables).stand_ins == ["stand-in-lpips-alex-1a2b3c4d"]
    for name, table in tables.items():
        write_table(table, PUBLISHED[name], tmp_path / f"{name}.parquet")
    assert "none of its numbers means anything" in " ".join(summary(tmp_path, width=110).split())
    assert "none of its numbers means anything" in page.render(contents_of(tables))
