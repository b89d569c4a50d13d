"""`latentbench synthface render`, `factors` and `sheet`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from pipeline.domains.synthface import catalogue, sheets
from pipeline.domains.synthface.factors import FACTOR_NAMES
from tasks.cli import app


def synthface(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(app, ["synthface", *(str(argument) for argument in arguments)])


# Render


def test_render_draws_and_says_what_was_set(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    settings = ("--set", "age=0.8", "--set", "glasses=1")
    result = synthface("render", *settings, "--identity", 7, "--size", 32, path)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "set: age 0.8 (60 years), glasses 1",
        "identity 7 of seed 1010",
        f"written: {path}",
    ]
    with Image.open(path) as picture:
        assert picture.size == (32, 32)


def test_render_draws_several_with_masks_and_prints_json(tmp_path: Path) -> None:
    path = tmp_path / "row.png"
    faces = ("--identity", 7, "--identity", 8, "--random", 3)
    result = synthface("render", *faces, "--seed", 5, "--size", 32, "--masks", "--json", path)
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert [face["from"] for face in said["faces"]] == [
        "identity 7 of seed 5",
        "identity 8 of seed 5",
        "random face 3 of seed 5",
    ]
    assert all(list(face["factors"]) == list(FACTOR_NAMES) for face in said["faces"])
    assert said["files"] == [str(path), str(tmp_path / "row-masks.png")]
    assert all(Image.open(file).size == (3 * 32 + 4, 32) for file in said["files"])


def test_render_continues_from_a_picture(tmp_path: Path) -> None:
    first, second, whole = (tmp_path / f"{name}.png" for name in ("first", "second", "whole"))
    synthface("render", "--random", 3, "--set", "beard=1", "--size", 32, first)
    synthface("render", "--like", first, "--set", "age=0.9", "--size", 32, second)
    synthface("render", "--random", 3, "--set", "beard=1", "--set", "age=0.9", "--size", 32, whole)
    assert Image.open(second).tobytes() == Image.open(whole).tobytes() != Image.open(first).tobytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--set", "agee=1"), "No factor named 'agee'. Did you mean 'age'?"),
        (("--set", "age=60"), "expected a number from 0 to 1, found '60'; 0 is 0 years, 1 is 75 years"),
        (("--set", "beard=full"), "--set beard=full: expected a number from 0 to 1"),
        (("--set", "sunglasses=1", "--set", "glasses=0"), "contradicts"),
        (("--like", "missing.png"), "missing.png: expected a PNG that `synthface render` wrote"),
    ],
)
def test_render_tells_what_is_wrong_and_writes_nothing(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    result = synthface("render", *arguments, tmp_path / "out.png")
    assert result.exit_code == 2
    assert told in result.stderr and "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


# Factors


def test_factors_lists_them() -> None:
    rows = json.loads(synthface("factors", "--json").stdout)
    assert [row["factor"] for row in rows] == list(FACTOR_NAMES)
    shown = synthface("factors").stdout
    assert all(name in shown for name in FACTOR_NAMES)


def test_factors_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "FACTORS", catalogue.FACTORS[:2])
    result = synthface("factors", "--write", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / catalogue.PAGE).is_file() and str(tmp_path / catalogue.PAGE) in result.stdout
    assert synthface("factors", "--write", tmp_path, "--json").exit_code == 2


# Sheet


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sheets whose width is the seed and whose height is the count; what they show is tested with the sheets."""
    for kind, sheet in dict(sheets.SHEETS).items():
        small = sheets.Sheet(lambda seed, count: Image.new("RGB", (seed, count)), sheet.count, sheet.file)
        monkeypatch.setitem(sheets.SHEETS, kind, small)


def test_sheet_draws_pairs_unless_told(drawn: None, tmp_path: Path) -> None:
    result = synthface("sheet", tmp_path / "p.png", "--seed", 9)
    assert result.stdout.strip() == f"24 pairs: {tmp_path / 'p.png'}"
    assert Image.open(tmp_path / "p.png").size == (9, 24)
    result = synthface("sheet", tmp_path / "r.png", "--kind", "renders", "--count", 5)
    assert result.stdout.strip() == f"5 faces: {tmp_path / 'r.png'}"


def test_sheet_writes_all_into_the_docs(drawn: None, tmp_path: Path) -> None:
    result = synthface("sheet", "--all", tmp_path)
    assert result.exit_code == 0, result.stderr
    shown = {path.name: Image.open(path).size[1] for path in tmp_path.iterdir()}
    assert shown == {
        "synthface-pairs.png": 24,
        "synthface-generated.png": 64,
        "synthface-renders.png": 64,
        "synthface-strip.png": 10,
    }


def test_sheet_refuses_what_it_does_not_know(drawn: None, tmp_path: Path) -> None:
    result = synthface("sheet", tmp_path / "a.png", "--kind", "strips")
    assert result.exit_code == 2 and "Did you mean 'strip'?" in result.stderr
    for arguments in ((), (tmp_path / "a.png", "--all", tmp_path)):
        result = synthface("sheet", *arguments)
        assert result.exit_code == 2 and "sheet --all docs" in result.stderr
    assert not list(tmp_path.iterdir())
