"""Pictures decoded once, at the resolution of the training, into one memory-mapped array; resumable."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from pipeline.errors import LabelsError, PhotoError
from pipeline.images import from_uint8, resize, to_uint8
from pipeline.pictures import opened, upright
from pipeline.progress import Display
from pipeline.scorer_training.folders import FORMATS
from pipeline.storage.files import replacing
from pipeline.storage.fingerprint import bytes_sha256

VERSION = 2  # raise it when the same file gives other pixels
LARGEST_SIDE = 2048  # largest side of a square, in pixels, before resizing; FFHQ's pictures have 1,024
BLOCK = 256  # pictures between two writes to disk
HOW = "upright, the middle square, bicubic and antialiased, uint8"


@dataclass(frozen=True)
class Pixels:
    """`pixels` (N, R, R, 3) uint8 and `digests` (N, 32) uint8, the sha256 of each row, both memory-mapped.

    `unreadable`: row -> reason; the digest of such a row is zero.
    """

    pixels: np.ndarray
    digests: np.ndarray
    unreadable: dict[int, str]

    def batch(self, rows: np.ndarray) -> Tensor:
        """Images (n, 3, R, R) float32 in [-1, 1] of some rows."""
        return from_uint8(self.pixels[rows])

    def digest(self, rows: np.ndarray) -> str:
        """sha256 over the pixels of some rows."""
        return bytes_sha256(np.ascontiguousarray(self.digests[rows]).tobytes())


def prepare(names: tuple[str, ...], images: Path, resolution: int, folder: Path, workers: int) -> Pixels:
    """The pixels of the pictures `names` below `images`; pictures not decoded yet are decoded into `folder`.

    If the size or time of any file has changed, all are decoded again. Raises LabelsError if the disk is too full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(names, images, resolution)
    shape = (len(names), resolution, resolution, 3)
    pixel_path, digest_path = folder / f"pictures-{key}.npy", folder / f"pictures-{key}.sha256.npy"
    for old in folder.glob("pictures-*.npy"):
        if old not in (pixel_path, digest_path):
            old.unlink()
    if not pixel_path.exists():
        _check_room(folder, int(np.prod(shape)))
    pixels, digests = _mapped(pixel_path, shape), _mapped(digest_path, (len(names), 32))
    missing = np.flatnonzero(~digests.any(axis=1))
    unreadable: dict[int, str] = {}
    if len(missing):
        before = len(names) - len(missing)
        with Display("decoding pictures", len(names), "pictures", before=before) as display:
            with ThreadPoolExecutor(workers) as pool:
                for start in range(0, len(missing), BLOCK):
                    block = missing[start : start + BLOCK]
                    decoded = pool.map(lambda row: _decoded(images / names[row], resolution), block)
                    new_digests = {}
                    for count, (row, picture) in enumerate(zip(block, decoded, strict=True), start=1):
                        if isinstance(picture, str):
                            unreadable[int(row)] = picture
                        else:
                            pixels[row] = picture
                            sha256 = bytes.fromhex(bytes_sha256(picture.tobytes()))
                            new_digests[row] = np.frombuffer(sha256, dtype=np.uint8)
                        display.update(before + start + count)
                    pixels.flush()  # before the digests: a row with a digest is complete on the disk
                    for row, digest in new_digests.items():
                        digests[row] = digest
                    digests.flush()
    return Pixels(pixels, digests, unreadable)


def decode(path: Path, resolution: int) -> np.ndarray:
    """Decode one picture to (R, R, 3) uint8: rotated by its EXIF, cropped to the central square, resized.

    Squares larger than LARGEST_SIDE are first reduced to it by averaging, which bounds the memory per picture. Raises
    PhotoError for a file that is not a complete picture with 8 bits a channel, and for a picture that is too large.
    """
    with opened(path, FORMATS) as picture:
        square = np.asarray(upright(picture, max(LARGEST_SIDE, resolution), square=True))
    return to_uint8(resize(from_uint8(square[None]), resolution))[0].numpy()


def _decoded(path: Path, resolution: int) -> np.ndarray | str:
    """The picture, or the reason why it cannot be read."""
    try:
        with torch.no_grad():
            return decode(path, resolution)
    except PhotoError as error:
        return str(error)


def _key(names: tuple[str, ...], images: Path, resolution: int) -> str:
    facts = []
    for name in names:
        try:
            status = (images / name).stat()
        except OSError:
            facts.append((name, -1, -1))
        else:
            facts.append((name, status.st_size, status.st_mtime_ns))
    return bytes_sha256(json.dumps([VERSION, resolution, facts]).encode())[:16]


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise LabelsError(
            f"The decoded pictures take {needed / 2**30:.1f} GiB in {folder}, and {free / 2**30:.1f} GiB are free. "
            "Make room, or choose another --folder or a smaller --resolution."
        )


def _mapped(path: Path, shape: tuple[int, ...]) -> np.memmap:
    if not path.exists():
        with replacing(path) as temporary:
            open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
    return np.memmap(path, dtype=np.uint8, mode="r+", shape=shape, offset=path.stat().st_size - int(np.prod(shape)))
