"""One decoding of other people's pictures, for photographs and for training."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from pipeline.errors import PhotoError
from pipeline.images import to_uint8
from pipeline.inversion.photos import read_photo
from pipeline.pictures import opened, upright, why_not
from pipeline.scorer_training.training import pixels
from pipeline.scorer_training.training.pixels import decode

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def photo(path: Path) -> np.ndarray:
    result: np.ndarray = to_uint8(read_photo(path)[None])[0].numpy()
    return result


def test_both_decode_alike(tmp_path: Path) -> None:
    """Transparency is laid on white, whatever colour it hides; EXIF is heeded; palettes and grey become colours."""
    alpha = np.zeros((40, 40, 1), np.uint8)
    alpha[:20], alpha[20:25] = 255, 128
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = Image.fromarray(PIXELS)
    clear = Image.fromarray(np.concatenate([PIXELS // 2, alpha], axis=2))
    clear.save(tmp_path / "clear.png")
    clear.convert("P").save(tmp_path / "palette.png", transparency=3)
    Image.fromarray(np.concatenate([PIXELS[:, :, :1], alpha], axis=2), "LA").save(tmp_path / "grey and clear.png")
    whole.save(tmp_path / "turned.png", exif=exif)
    whole.convert("L").save(tmp_path / "grey.png")
    whole.convert("CMYK").save(tmp_path / "print.jpg")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(decode(path, 40), photo(path), err_msg=path.name)
    assert (decode(tmp_path / "clear.png", 40)[25:] == 255).all()
    half = decode(tmp_path / "clear.png", 40)[20:25].astype(int)
    assert np.abs(half - (PIXELS[20:25] // 2 * (128 / 255) + 255 * (127 / 255))).max() <= 1
    np.testing.assert_array_equal(decode(tmp_path / "turned.png", 40), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_grey_is_refused_and_not_cut_off(kind: type, tmp_path: Path) -> None:
    """Pillow's conversion would make a white square of it."""
    path = tmp_path / "deep.tiff"
    Image.fromarray((PIXELS[:, :, 0].astype(kind) + 1) * kind(200)).save(path)
    for read in (lambda: decode(path, 40), lambda: read_photo(path), lambda: upright_of(path)):
        with pytest.raises(PhotoError, match="8 bits a channel|formats"):
            read()
    assert "expected 8 bits a channel" in why_not(path)


def upright_of(path: Path) -> Image.Image:
    with opened(path) as picture:
        return upright(picture, 100)


@pytest.mark.parametrize("factor", [1.5, 2.5])
def test_bombs_are_refused_before_they_are_unpacked(
    factor: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(1600 / factor))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("was unpacked"))
    with pytest.raises(PhotoError, match="unpack"):
        decode(tmp_path / "a.png", 16)


@pytest.mark.parametrize(("mode", "ending"), [("RGB", "png"), ("RGBA", "png"), ("P", "png"), ("RGB", "jpg")])
def test_no_more_than_the_largest_square_becomes_floats(
    mode: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"wide.{ending}"
    Image.new(mode, (1000, 300)).save(path)
    shapes: list[tuple[int, ...]] = []
    real = pixels.from_uint8

    def spied(found: np.ndarray) -> Tensor:
        shapes.append(found.shape)
        return real(found)

    monkeypatch.setattr(pixels, "from_uint8", spied)
    monkeypatch.setattr(pixels, "LARGEST_SIDE", 64)
    assert decode(path, 16).shape == (16, 16, 3)
    assert shapes == [(1, 64, 64, 3)]


def test_a_large_picture_is_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "LARGEST_SIDE", 20)
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    boxes = PIXELS.reshape(20, 2, 20, 2, 3).mean(axis=(1, 3))
    assert np.abs(decode(tmp_path / "a.png", 20) - boxes).max() <= 1  # rounded


def test_what_is_no_file_is_told_and_nothing_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "it is a pipe or a device, expected a file" in why_not(tmp_path / "pipe.png")
    assert "it is a pipe or a device" in why_not(Path("/dev/zero"))
    assert f"it is a folder: name the pictures in it, such as {tmp_path}/*" in why_not(tmp_path)
    assert "there is no such file" in why_not(tmp_path / "none.png")
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to("a.png")
    assert why_not(tmp_path / "link.png") == ""


def test_threads_that_open_pictures_leave_the_filters_of_warnings_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [why_not(tmp_path / "a.png") for _ in range(30)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
