"""What is read of other people's files, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PhotoError
from pipeline.images import to_uint8
from pipeline.inversion import photos
from pipeline.inversion.photos import read_photo

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def pixels(path: Path) -> np.ndarray:
    result: np.ndarray = to_uint8(read_photo(path)[None])[0].numpy()
    return result


@pytest.mark.parametrize("ending", ["png", "tiff", "bmp"])
def test_pixels_come_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a photo.{ending}"
    Image.fromarray(PIXELS).save(path)
    np.testing.assert_array_equal(pixels(path), PIXELS)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_exif_orientation_is_heeded(tmp_path: Path, orientation: int, turns: int) -> None:
    """The file holds the upright picture turned `turns` quarters against the clock."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(PIXELS, turns).copy()).save(path, exif=exif)
    np.testing.assert_array_equal(pixels(path), PIXELS)


def test_transparency_is_laid_on_white_and_grey_is_grey(tmp_path: Path) -> None:
    alpha = np.zeros((40, 60, 1), np.uint8)
    alpha[:20] = 255
    Image.fromarray(np.concatenate([PIXELS, alpha], axis=2)).save(tmp_path / "a.png")
    found = pixels(tmp_path / "a.png")
    np.testing.assert_array_equal(found[:20], PIXELS[:20])
    assert (found[20:] == 255).all()
    Image.fromarray(PIXELS[:, :, 0]).save(tmp_path / "g.png")
    np.testing.assert_array_equal(pixels(tmp_path / "g.png"), PIXELS[:, :, :1].repeat(3, axis=2))


def test_a_large_photograph_is_averaged_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "LARGEST_SIDE", 30)
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert tuple(read_photo(tmp_path / "a.png").shape) == (3, 20, 30)


@pytest.mark.parametrize("factor", [1.5, 2.5])
def test_bombs_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(2400 / factor))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("was unpacked"))
    with pytest.raises(PhotoError, match="unpack"):
        read_photo(tmp_path / "a.png")


def test_what_is_no_photograph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    Image.fromarray(PIXELS).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    Image.fromarray(PIXELS[:20]).save(tmp_path / "flat.png")
    Image.fromarray(PIXELS[:, :, 0].astype(np.uint16) * 200).save(tmp_path / "deep.png")
    Image.fromarray(PIXELS).save(tmp_path / "script.eps")
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in {
        "text.jpg": "formats",
        "cut.png": "cannot be read",
        "flat.png": "60 x 20 pixels, expected at least 32",
        "deep.png": "expected 8 bits a channel",
        "script.eps": "formats",
        "none.png": "no such file",
        ".": "it is a folder: name the pictures in it",
        "pipe.png": "it is a pipe or a device",
    }.items():
        with pytest.raises(PhotoError, match=reason):
            read_photo(tmp_path / name)
