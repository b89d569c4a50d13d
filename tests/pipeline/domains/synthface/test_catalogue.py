"""The page of factors: it agrees with the table, and its strips show what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from pipeline.domains.synthface import catalogue, factor_rows
from pipeline.domains.synthface.factors import FACTOR_NAMES, FACTORS, column
from pipeline.domains.synthface.renderer import render
from pipeline.errors import ConfigError

DOCS = Path(__file__).parents[4] / "docs/reference"
AGAIN = "regenerate it: latentbench synthface factors --write docs/reference"
LARGEST = 2 * 2**20  # bytes of all pictures of the page


def test_the_page_and_the_table_name_the_same_factors() -> None:
    listed = catalogue.names_on((DOCS / catalogue.PAGE).read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(FACTOR_NAMES), AGAIN


def test_the_page_is_what_the_table_says() -> None:
    assert (DOCS / catalogue.PAGE).read_text(encoding="utf-8") == catalogue.page(), AGAIN


def test_every_factor_has_its_picture() -> None:
    there = {path.name: path.stat().st_size for path in (DOCS / catalogue.PICTURES).iterdir()}
    assert set(there) == {f"{name}.png" for name in FACTOR_NAMES} | {catalogue.PARTS_PICTURE}, AGAIN
    assert sum(there.values()) < LARGEST


def test_rows_are_the_factors_with_ffhqs_units() -> None:
    rows = {row["factor"]: row for row in factor_rows.rows()}
    assert list(rows) == list(FACTOR_NAMES)
    assert (rows["age"]["low"], rows["age"]["high"]) == ("0 years", "75 years")
    assert rows["iris_colour"]["high"] == "light blue"
    assert {name: row["kind"] for name, row in rows.items()} == {f.name: f.kind for f in FACTORS}


def test_names_on_a_page_are_found() -> None:
    assert catalogue.names_on("# t\n| factor | x |\n|---|---|\n| `age` | 0 |\n| `yaw` | 1 |\n") == ["age", "yaw"]


@pytest.mark.parametrize("name", FACTOR_NAMES)
def test_a_strip_drives_its_factor_and_shows_it(name: str) -> None:
    faces = catalogue.faces_of(name)
    assert torch.equal(faces[:, column(name)], torch.tensor(catalogue.STEPS))
    drawn = render(faces, 48).images
    assert (drawn - drawn[0]).abs().amax(dim=(1, 2, 3)).max() > 0.04  # of the full range of 2


def test_the_page_is_written_whole_with_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(FACTORS[place] for place in (0, 40, 70))
    for module in (catalogue, factor_rows):
        monkeypatch.setattr(module, "FACTORS", few)
    place = tmp_path / catalogue.PICTURES
    place.mkdir(parents=True)
    (place / "gone.png").touch()
    (tmp_path / "kept.md").touch()
    files = list(catalogue.write_page(tmp_path))
    assert {path.name for path in place.iterdir()} == {f"{f.name}.png" for f in few} | {"parts.png"}
    assert {path.name for path in tmp_path.iterdir()} == {"img", "kept.md", catalogue.PAGE}
    assert files[-1] == tmp_path / catalogue.PAGE and len(files) == len(few) + 2
    assert catalogue.names_on(files[-1].read_text(encoding="utf-8")) == [f.name for f in few]
    before = {path: path.read_bytes() for path in files}
    assert {path: path.read_bytes() for path in catalogue.write_page(tmp_path)} == before
    with Image.open(place / f"{few[0].name}.png") as strip:
        assert strip.size == (len(catalogue.STEPS) * (catalogue.SIDE + 2) - 2, catalogue.SIDE)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "docs").touch()
    with pytest.raises(ConfigError, match="expected a folder"):
        next(catalogue.write_page(tmp_path / "docs"))
