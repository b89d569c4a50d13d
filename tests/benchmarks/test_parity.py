"""The comparisons with the authors' code, without any of it: listed, left out, and made with a made-up checkout."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.parity.__main__ import main
from benchmarks.parity.comparison import Comparison, Measured, Verdict, outcome
from benchmarks.parity.registry import SUBJECTS, subject
from benchmarks.parity.table import as_markdown, status

WITH_CHECKOUT = [name for name in SUBJECTS if subject(name).checkout]
BEFORE = "import numpy as np\n\n\ndef project_boundary(primal, *others):\n"
RIGHT = """    rows = np.concatenate(others)
    rest = primal - (np.linalg.solve(rows @ rows.T, rows @ primal[0]) @ rows)[None]
    return rest / np.linalg.norm(rest)
"""
NOT_UNIT = RIGHT.replace("rest / np.linalg.norm(rest)", "rest")
CRASH = "    import os\n    print('out of luck')\n    os._exit(7)\n"


def run(folder: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status and the rows of a run."""
    record = folder / "record.json"
    answer = main(["--checkouts", str(folder), "--json", str(record), *options])
    return answer, json.loads(record.read_text())["rows"]


def test_list_names_every_comparison_and_where_its_code_is_to_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    for name in SUBJECTS:
        for one in subject(name).comparisons:
            assert f"  {name}.{one.name}: {one.what}" in listed
    for name in WITH_CHECKOUT:
        assert f"https://github.com/{subject(name).checkout.repository} " in listed
    assert len(WITH_CHECKOUT) == 13


def test_names_of_comparisons_are_unique_within_a_subject() -> None:
    assert SUBJECTS
    for name in SUBJECTS:
        names = [one.name for one in subject(name).comparisons]
        assert len(set(names)) == len(names) > 0


def test_an_empty_folder_gives_missing_rows_that_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, rows = run(tmp_path, *(f"--only={name}" for name in WITH_CHECKOUT))
    assert answer == 0
    assert [row["name"] for row in rows] == [
        f"{name}.{one.name}" for name in WITH_CHECKOUT for one in subject(name).comparisons
    ]
    assert {row["verdict"] for row in rows} == {"missing checkout"}
    printed = capsys.readouterr().out
    for name in WITH_CHECKOUT:
        checkout = subject(name).checkout
        assert f"git clone https://github.com/{checkout.repository} DIR/{checkout.folder}; compared at" in printed
    assert f"{len(rows)} comparisons: {len(rows)} missing checkout" in printed


@pytest.mark.parametrize(
    ("body", "verdict", "expected"),
    [(RIGHT, "same", 0), (NOT_UNIT, "differs", 1), (CRASH, "failed", 1)],
    ids=["same", "differs", "crashes"],
)
def test_a_made_up_checkout_is_run_and_judged(tmp_path: Path, body: str, verdict: str, expected: int) -> None:
    place = tmp_path / "interfacegan" / "utils"
    place.mkdir(parents=True)
    (place / "__init__.py").touch()
    (place / "manipulator.py").write_text(BEFORE + body)
    answer, rows = run(tmp_path, "--only", "interfacegan.project_boundary")
    assert (answer, [row["verdict"] for row in rows]) == (expected, [verdict])
    if verdict == "failed":
        assert "ended with 7: out of luck" in rows[0]["note"]
    else:
        assert (rows[0]["difference"] <= rows[0]["bound"]) == (verdict == "same")
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_unknown_name_is_refused_with_the_closest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--checkouts", str(tmp_path), "--only", "sefa.factorise_weight"])
    assert ended.value.code == 2
    assert "Did you mean 'sefa.factorize_weight'?" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--checkouts", str(tmp_path / "none")])
    assert ended.value.code == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("difference", "declared", "verdict", "expected"),
    [
        (1e-6, "", Verdict.SAME, 0),
        (1.1e-6, "", Verdict.DIFFERS, 1),
        (float("nan"), "", Verdict.DIFFERS, 1),
        (0.5, "on purpose", Verdict.DECLARED, 0),
        (float("nan"), "on purpose", Verdict.DIFFERS, 1),
    ],
)
def test_verdicts(difference: float, declared: str, verdict: Verdict, expected: int) -> None:
    one = Comparison("name", "log p(w | a)", "1", lambda: Measured(difference), 1e-6, declared=declared)
    row = outcome("subject", one, one.measure())
    assert row.verdict == verdict
    assert status([row]) == expected
    missing = dataclasses.replace(row, verdict=Verdict.MISSING_CHECKOUT, difference=None)
    assert status([missing]) == 0
    assert len({len(line.replace(r"\|", "").split("|")) for line in as_markdown([row, missing]).splitlines()}) == 1
