"""Every question of the cookbook has three forms, whose answers are equal and have rows."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from benchmarks.cookbook import EVERY_RUN, with_answers
from pipeline.report.query import query_table
from tests.builders.reference_run import REFERENCE, add_night, lay_down

COOKBOOK = Path(__file__).parents[1] / "docs/howto/cookbook.md"
HEAD, *SECTIONS = re.split(r"^## (?=\d+\. )", COOKBOOK.read_text(), flags=re.M)
QUESTIONS = 12
ROUNDING = 1e-9
NEWEST_RUN = "-- newest run\n"


def blocks(text: str, *languages: str) -> list[str]:
    """The blocks of code of a text, which must be in these languages, in this order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    assert tuple(language for language, _ in found) == languages
    return [code for _, code in found]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose outputs/ has the reference run, and two nights before it."""
    home = tmp_path_factory.mktemp("home")
    reference = lay_down(home / "outputs")
    for day, digest in ((26, "12345678"), (27, "9abcdef0")):
        add_night(home / "outputs", reference, datetime(2026, 11, day, tzinfo=UTC), digest)
    return home


def by_sql(sql: str, home: Path) -> list[dict[str, Any]]:
    assert sql.startswith((EVERY_RUN, NEWEST_RUN))
    return query_table(home / "outputs", sql, all_runs=sql.startswith(EVERY_RUN)).to_pylist()


def by_code(setup: str, code: str) -> list[dict[str, Any]]:
    """The rows of `answer`, which code computes."""
    names: dict[str, Any] = {}
    exec(compile(setup + code, str(COOKBOOK), "exec"), names)
    answer = names["answer"]
    assert isinstance(answer, pd.DataFrame | pl.DataFrame)
    return answer.to_dicts() if isinstance(answer, pl.DataFrame) else answer.to_dict("records")


def plain(value: Any) -> Any:
    """A value as all three know it: missing ones are None, numbers are floats."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return float(value) if isinstance(value, int | float) else value


def assert_equal(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """The same columns and rows in the same order, numbers up to rounding."""
    assert [list(row) for row in rows] == [list(row) for row in others]
    for row, other in zip(rows, others, strict=True):
        for name in row:
            value, same = plain(row[name]), plain(other[name])
            close = isinstance(value, float) and isinstance(same, float) and math.isclose(value, same, rel_tol=ROUNDING)
            assert close or value == same, (name, row, other)


def test_there_are_twelve_questions() -> None:
    assert [section.partition(".")[0] for section in SECTIONS] == [str(number + 1) for number in range(QUESTIONS)]
    assert all(section.splitlines()[0].endswith("?") for section in SECTIONS)
    assert f"reference/{REFERENCE.name}" in HEAD


def test_the_answers_on_the_page_are_those_of_the_reference_run() -> None:
    text = COOKBOOK.read_text(encoding="utf-8")
    assert len(re.findall(r"^\| ---", text, re.M)) == QUESTIONS - 1, "all but the one that compares two runs"
    assert with_answers(text, REFERENCE) == text, "python -m benchmarks.cookbook: see reference/README.md"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition(".")[0])
def test_the_three_answers_are_equal_and_have_rows(section: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setups = blocks(HEAD, "python", "python")
    sql, *codes = blocks(section, "sql", "python", "python")
    monkeypatch.chdir(home)
    answer = by_sql(sql, home)
    assert len(answer) > 1 and len(answer[0]) > 2
    for setup, code, package in zip(setups, codes, ("pandas", "polars"), strict=True):
        assert f"import {package}" in setup
        assert_equal(answer, by_code(setup, code))
