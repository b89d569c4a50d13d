"""The one image convention, and the only ways out of it.

Everywhere in the code an image is float32, (N, 3, height, width), red, green, blue, rows from the top, in [-1, 1].
Pixels are uint8, (N, height, width, 3). Resizing changes FID (Parmar et al., "On Aliased Resizing",
CVPR 2022), so it is done here alone, always antialiased, and by a named filter.
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
    """Images (N, 3, H, W) -> pixels (N, H, W, 3) uint8 on the same device, rounded; what is outside is clamped."""
    pixels = (images.detach().float().clamp(-1, 1) + 1) * 127.5
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_uint8(pixels: Tensor | np.ndarray) -> Tensor:
    """Pixels (N, H, W, 3) uint8 -> images (N, 3, H, W) float32; `to_uint8` gives the same pixels back."""
    tensor = torch.from_numpy(np.array(pixels)) if isinstance(pixels, np.ndarray) else pixels
    if tensor.dtype != torch.uint8 or tensor.ndim != 4 or tensor.shape[-1] != 3:
        raise ValueError(f"Pixels must be uint8 (N, H, W, 3), not {tensor.dtype} {tuple(tensor.shape)}.")
    return tensor.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def resize(images: Tensor, size: int | tuple[int, int], *, filter: str = "bicubic") -> Tensor:
    """Images (N, 3, H, W) at another size (height, width), antialiased, clamped to [-1, 1].

    `filter` is "bicubic" or "bilinear". Images that have the size already come back as they are.
    """
    if filter not in FILTERS:
        raise ValueError(f"No resizing filter named {filter!r}. Known: {', '.join(FILTERS)}.")
    height, width = (size, size) if isinstance(size, int) else size
    if images.shape[-2:] == (height, width):
        return images
    resized = functional.interpolate(images, size=(height, width), mode=filter, align_corners=False, antialias=True)
    return resized.clamp(-1, 1)


def to_pil(image: Tensor) -> Image.Image:
    """One image (3, H, W) as a PIL picture."""
    return Image.fromarray(to_uint8(image[None])[0].cpu().numpy())


def save_png(image: Tensor | Image.Image, path: Path) -> None:
    """Write one image (3, H, W), or a PIL picture, as PNG; the same pixels give the same bytes."""
    picture = image if isinstance(image, Image.Image) else to_pil(image)
    picture.save(path, format="PNG", optimize=False, compress_level=9)


def strip(images: Tensor, *, gap: int = 2, captions: Sequence[str] = ()) -> Image.Image:
    """Images (N, 3, H, W) side by side in one picture, `gap` white pixels apart, captions below."""
    return sheet(images, columns=images.shape[0], gap=gap, captions=captions)


def sheet(images: Tensor, *, columns: int, gap: int = 2, captions: Sequence[str] = ()) -> Image.Image:
    """Images (N, 3, H, W) in rows of `columns`, `gap` white pixels apart, each with its caption below, if any."""
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
