"""Conversion, resizing and drawing of images; no other module converts or resizes.

Everywhere in the code an image is float32 (N, 3, height, width) in [-1, 1]; channels are red, green, blue; rows start
at the top. Pixels are uint8 (N, height, width, 3). Resizing changes FID (Parmar et al., "On Aliased Resizing",
CVPR 2022), so it is always antialiased, with a named filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

FILTERS = ("bicubic", "bilinear")


def to_uint8(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1] -> pixels (N, H, W, 3) uint8 on the same device: clamped, then rounded."""
    pixels = (images.detach().float().clamp(-1, 1) + 1) * 127.5
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_uint8(pixels: Tensor | np.ndarray) -> Tensor:
    """Pixels (N, H, W, 3) uint8 -> images (N, 3, H, W) float32 in [-1, 1]; `to_uint8` is the exact inverse.

    Raises ValueError for another type or shape.
    """
    tensor = torch.from_numpy(np.array(pixels)) if isinstance(pixels, np.ndarray) else pixels
    if tensor.dtype != torch.uint8 or tensor.ndim != 4 or tensor.shape[-1] != 3:
        raise ValueError(f"Pixels must be uint8 (N, H, W, 3), not {tensor.dtype} {tuple(tensor.shape)}.")
    return tensor.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def resize(images: Tensor, size: int | tuple[int, int], *, filter: str = "bicubic") -> Tensor:
    """Images (N, 3, H, W) resized to `size`, one number or (height, width), antialiased, clamped to [-1, 1].

    `filter` is "bicubic" or "bilinear". Images of that size already are returned unchanged. Raises ValueError for
    another filter.
    """
    if filter not in FILTERS:
        raise ValueError(f"No resizing filter named {filter!r}. Known: {', '.join(FILTERS)}.")
    height, width = (size, size) if isinstance(size, int) else size
    if images.shape[-2:] == (height, width):
        return images
    resized = functional.interpolate(images, size=(height, width), mode=filter, align_corners=False, antialias=True)
    return resized.clamp(-1, 1)


def to_pil(image: Tensor) -> Image.Image:
    """An image (3, H, W) in [-1, 1] as a PIL picture."""
    return Image.fromarray(to_uint8(image[None])[0].cpu().numpy())


def save_png(image: Tensor | Image.Image, path: Path) -> None:
    """Write an image (3, H, W) in [-1, 1], or a PIL picture, as PNG; the same pixels give the same bytes."""
    picture = image if isinstance(image, Image.Image) else to_pil(image)
    picture.save(path, format="PNG", optimize=False, compress_level=9)


def strip(images: Tensor, *, gap: int = 2, captions: Sequence[str] = ()) -> Image.Image:
    """Images (N, 3, H, W) side by side in one picture, `gap` white pixels apart, captions below."""
    return sheet(images, columns=images.shape[0], gap=gap, captions=captions)


def sheet(images: Tensor, *, columns: int, gap: int = 2, captions: Sequence[str] = ()) -> Image.Image:
    """Images (N, 3, H, W) in rows of `columns`, `gap` white pixels apart, with captions below.

    Raises ValueError if there are captions, but not one per image.
    """
    if captions and len(captions) != images.shape[0]:
        raise ValueError(f"{len(captions)} captions for {images.shape[0]} images.")
    pixels = to_uint8(images).cpu().numpy()
    count, height, width = pixels.shape[:3]
    rows = -(-count // columns)
    line = 14 if captions else 0
    size = (columns * (width + gap) - gap, rows * (height + line + gap) - gap)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for index in range(count):
        left, top = (index % columns) * (width + gap), (index // columns) * (height + line + gap)
        picture.paste(Image.fromarray(pixels[index]), (left, top))
        if captions:
            draw.text((left + 1, top + height), captions[index], fill="black")
    return picture
