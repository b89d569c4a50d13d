"""Images are float32 (N, 3, H, W) in [-1, 1]; pixels are uint8 (N, H, W, 3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.images import from_uint8, resize, save_png, sheet, strip, to_uint8


def test_every_pixel_survives_the_way_there_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3).contiguous()
    images = from_uint8(pixels)
    assert images.shape == (1, 3, 16, 16) and images.dtype == torch.float32
    assert images.min() == -1 and images.max() == 1
    assert torch.equal(to_uint8(images), pixels)
    assert torch.equal(from_uint8(pixels.numpy()), images)


def test_what_is_outside_is_clamped_and_the_rest_rounded() -> None:
    images = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0, 0.5]).reshape(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_uint8(images)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255, 191]


def test_channels_and_rows_keep_their_place() -> None:
    images = torch.full((2, 3, 4, 5), -1.0)
    images[1, 0, 2, 3] = 1.0  # the second image: red, third row, fourth column
    pixels = to_uint8(images)
    assert pixels.shape == (2, 4, 5, 3)
    assert pixels[1, 2, 3].tolist() == [255, 0, 0] and int(pixels.sum()) == 255


def test_pixels_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        from_uint8(torch.zeros(1, 4, 4, 3))
    with pytest.raises(ValueError, match="uint8"):
        from_uint8(np.zeros((1, 3, 4, 4), np.uint8))


@pytest.mark.parametrize("kind", ["bicubic", "bilinear"])
def test_resizing_keeps_a_flat_image_and_averages_a_fine_one(kind: str) -> None:
    assert torch.allclose(resize(torch.full((1, 3, 64, 64), 0.3), 24, filter=kind), torch.tensor(0.3), atol=1e-6)
    stripes = torch.ones(1, 3, 64, 64)
    stripes[..., ::2] = -1
    small = resize(stripes, 16, filter=kind)
    assert small[..., 4:-4].abs().max() < 0.05, "antialiased"
    assert resize(stripes, (32, 16), filter=kind).shape == (1, 3, 32, 16)
    assert resize(stripes, 64, filter=kind) is stripes


def test_a_filter_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match="Known: bicubic, bilinear"):
        resize(torch.zeros(1, 3, 4, 4), 2, filter="nearest")


def test_png_keeps_the_pixels_and_repeats_itself(tmp_path: Path) -> None:
    image = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name in ("a", "b"):
        save_png(image, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "a.png")), to_uint8(image[None])[0].numpy())


def test_strips_and_sheets_put_images_side_by_side() -> None:
    images = torch.stack([torch.full((3, 8, 10), value) for value in (-1.0, 0.0, 1.0)])
    picture = strip(images, gap=2)
    assert picture.size == (34, 8)
    assert [picture.getpixel((x, 4)) for x in (5, 17, 29)] == [(0,) * 3, (128,) * 3, (255,) * 3]
    assert sheet(images, columns=2, gap=2).size == (22, 18)
    assert strip(images, gap=2, captions=("a", "b", "c")).size == (34, 22)
    with pytest.raises(ValueError, match="1 captions for 3 images"):
        strip(images, captions=("a",))
