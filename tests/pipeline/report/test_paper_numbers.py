"""Published numbers: whole, with their source, beside ours on ffhq and never on another domain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.attributes import EVALUATED
from pipeline.errors import UnknownNameError
from pipeline.report import page
from pipeline.report.charts import library
from pipeline.report.contents import Contents, contents_of
from pipeline.report.paper_numbers import FILE, PaperNumbersError, papers_of, read_papers
from tests.builders import random_run
from tests.checks.html_page import read

TEXT = FILE.read_text()


def contents(domain: str) -> Contents:
    found = contents_of({**random_run.tables(), "judges": random_run.judges(), "runs": random_run.runs(domain=domain)})
    return replace(found, scores=found.scores.assign(domain=domain))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library of the charts, which takes seconds to bundle and is not what these tests look at."""
    monkeypatch.setattr(library, "library", str)


def written(folder: Path, old: str, new: str) -> Path:
    assert old in TEXT
    path = folder / "paper_numbers.toml"
    path.write_text(TEXT.replace(old, new, 1))
    return path


def test_the_file_we_ship_is_whole() -> None:
    (paper,) = read_papers()
    assert paper.domains == ["ffhq", "photoface"] and list(paper.methods.values()) == [
        "interfacegan",
        "styleflow",
        "ganspace",
        "l2l",
    ]
    tables = {table.key: table for table in paper.tables}
    assert list(tables["identity"].rows) == list(EVALUATED)
    means = [sum(column) / 8 for column in zip(*tables["identity"].rows.values(), strict=True)]
    assert means == pytest.approx([0.566, 0.500, 0.428, 0.338], abs=6e-4)  # computed by others from the same slides
    assert min(tables["fid"].rows["all"]) == tables["fid"].rows["all"][3]
    assert all(table.source for table in paper.tables) and len(paper.differences) > 8


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("rows.yaw = [0.39, 0.46, 0.41, 0.46]", "rows.yaw = [0.39, 0.46, 0.41]", "row yaw has 3 values for 4 methods"),
        ("rows.yaw = [0.39", "rows.yaw = [nan", "row yaw: expected numbers"),
        ('better = "lower"', 'better = "low"', "better: expected lower, higher, neither, found 'low'"),
        ("decimals = 2\n", "", "lacks decimals"),
        ('venue = "', 'place = "', "has unknown place"),
        ('["ffhq", "photoface"]', "[]", "expected tables, methods, domains"),
        ("[[paper]]", "[[paper]", "cannot be read"),
        ('source = "table of identity', 'source = 1 # "', "source: expected a text"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(PaperNumbersError, match=told):
        read_papers(written(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "close"),
    [("rows.yaw", "rows.yow", "yaw"), ('"fid_same_codes"\nunit', '"fid_same_code"\nunit', "fid_same_codes")],
)
def test_an_unknown_name_is_answered_with_the_closest(tmp_path: Path, old: str, new: str, close: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{close}'"):
        read_papers(written(tmp_path, old, new))


def test_never_beside_synthface(bare: None) -> None:
    assert papers_of(contents("synthface")) == []
    html = page.render(contents("synthface"))
    assert "Next to published numbers" not in html and "published-l2l-2022" not in html and ">0.6783<" not in html


def test_beside_ffhq_with_every_difference(bare: None) -> None:
    ours = contents("ffhq")
    html = page.render(ours)
    read(html)
    assert html.count("Next to published numbers") == 2 and ">0.6783<" in html and "not the same quantity" in html
    (paper,) = read_papers()
    escaped = [line.what for line in paper.differences]
    assert all(f'<th scope="row">{what}</th>' in html for what in escaped)
    assert html.index("published-l2l-2022-differences") < html.index("published-l2l-2022-identity")
    assert "https" not in html


def test_never_beside_stand_ins() -> None:
    ours = contents("ffhq")
    assert papers_of(ours)
    scores = ours.scores.assign(network="stand-in-" + ours.scores["network"].astype(str))
    assert papers_of(replace(ours, scores=scores)) == []


def test_ours_stand_under_the_papers_by_method_and_attribute() -> None:
    ours = contents("ffhq")
    (one,) = papers_of(ours)
    identity, *others = one.tables
    assert "mtcnn" in identity.network and [column.printed for column in identity.columns] == ["IG", "SF", "GS", "L2L"]
    cells: dict[str, Any] = {line.name: line.cells for line in identity.lines}
    scores = ours.scores
    wanted = scores[(scores["metric"] == "identity_distance") & (scores["network"] == identity.network)]
    wanted = wanted[(wanted["method"] == "l2l") & (wanted["attribute"] == "age") & (wanted["protocol"] == "l2l-2022")]
    assert cells["age"][3][0] == "0.57"
    assert float(cells["age"][3][1]) == pytest.approx(float(wanted["value"].iloc[0]), abs=5e-4)
    assert cells["age"][1][:2] == ("0.65", "–")  # styleflow was not run
    isd = next(side for side in others if side.table.key == "isd")
    assert all(ours == "–" for line in isd.lines for _, ours, *_ in line.cells)


def test_photographs_are_said_at_the_head(bare: None) -> None:
    settings = random_run.settings().as_json()
    settings["protocol"]["faces_sha256"] = "ab" * 32
    runs = random_run.runs(settings=json.dumps(settings), faces="6 inverted photographs")
    html = page.render(contents_of({**random_run.tables(), "judges": random_run.judges(), "runs": runs}))
    assert "The edited faces are 6 inverted photographs (table abababababababab)" in html
    assert "inverted photographs" not in page.render(contents_of(random_run.tables()))
