"""Sheets: the same z in the same place, and a strip in which one attribute moves at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import attributes, images
from pipeline.domains.synthface import copula, portrait, sheets
from pipeline.domains.synthface.factors import column, draw_factors
from pipeline.domains.synthface.renderer import render
from pipeline.errors import ConfigError, UnknownNameError


def tile(picture: Image.Image, column: int, row: int = 0) -> np.ndarray:
    step = sheets.TILE + 2
    left, top = column * step, row * step
    return np.array(picture.crop((left, top, left + sheets.TILE, top + sheets.TILE)))


def test_generated_and_renders_show_the_same_z_in_the_same_place() -> None:
    both, made, drawn = sheets.pairs(5, 3), sheets.generated(5, 3), sheets.renders(5, 3)
    for place in range(3):
        assert np.array_equal(tile(both, 2 * place), tile(drawn, place))
        difference = tile(both, 2 * place + 1).astype(int) - tile(made, place)  # G of another batch: to rounding
        assert np.abs(difference).max() <= 1
    assert not np.array_equal(tile(made, 0), tile(drawn, 0))


def test_the_strip_moves_one_attribute_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def laid_out(pixels: np.ndarray, groups: list[tuple[str, str, str]]) -> Image.Image:
        seen.update(pixels=pixels, groups=groups)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(sheets, "_lay_out", laid_out)
    sheets.attribute_strip(6, 2)
    pixels, groups = seen["pixels"], seen["groups"]
    assert [title for title, _, _ in groups] == list(attributes.EVALUATED)
    assert pixels.shape == (2, 1 + 2 * len(groups), sheets.STRIP_TILE, sheets.STRIP_TILE, 3)
    faces = draw_factors(6, range(2))
    for name in sheets.UNCOVERED:
        faces[:, column(name)] = portrait.plain_face()[column(name)]
    assert np.array_equal(pixels[:, 0], images.to_uint8(render(faces, sheets.STRIP_TILE).images).numpy())
    ends = copula.quantile("age", torch.tensor([sheets.RARE, 1 - sheets.RARE], dtype=torch.float64))
    for place, value in enumerate(ends.tolist()):
        moved = render(portrait.with_settings(faces, {"age": value}), sheets.STRIP_TILE).images
        assert np.array_equal(pixels[:, 1 + place], images.to_uint8(moved).numpy())
    for place, name in enumerate(attributes.EVALUATED.values()):
        low, high = pixels[:, 1 + 2 * place].astype(int), pixels[:, 2 + 2 * place].astype(int)
        assert np.abs(high - low).max(axis=(1, 2, 3)).min() > 20, name
    _, age_low, age_high = groups[0]
    assert float(age_low.split()[0]) < 5 and float(age_high.split()[0]) > 60


def test_the_strip_is_laid_out_in_labelled_pairs() -> None:
    pixels = np.zeros((2, 5, 8, 8, 3), dtype=np.uint8)
    pixels[...] = np.arange(10).reshape(2, 5, 1, 1, 1) * 20 + 10
    picture = np.array(sheets._lay_out(pixels, [("a", "0", "1"), ("b", "0", "1")]))
    body = picture[40:48]  # the first row of faces
    values = [int(v) for v in body[4, :, 0] if v != 255]
    assert values == [v for v in (10, 30, 50, 70, 90) for _ in range(8)]
    assert (picture[:40] < 128).any()  # labels


def test_a_sheet_is_written_by_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sheets.SHEETS, "strip", sheets.Sheet(lambda seed, count: Image.new("RGB", (seed, count)), 10, "s.png")
    )
    assert sheets.write_sheet("strip", tmp_path / "a.png", 3) == 10
    assert sheets.write_sheet("strip", tmp_path / "a.png", 3, 4) == 4
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (3, 4)
    with pytest.raises(UnknownNameError, match="Did you mean 'strip'"):
        sheets.write_sheet("strips", tmp_path / "b.png", 3)
    with pytest.raises(ConfigError, match=r"ends in \.png"):
        sheets.write_sheet("strip", tmp_path / "b", 3)


def test_docs_have_a_file_for_each_kind(tmp_path: Path) -> None:
    assert sheets.sheet_files(tmp_path) == {
        kind: tmp_path / f"synthface-{kind}.png" for kind in ("pairs", "generated", "renders", "strip")
    }
    with pytest.raises(ConfigError, match="expected a folder that exists"):
        sheets.sheet_files(tmp_path / "no")
