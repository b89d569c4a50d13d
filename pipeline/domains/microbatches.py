"""Micro-batches: the images in memory at once, which are a batch or, where images are large, a part of one.

Batches are cut at fixed places, so that the same images are judged together on every machine. What a generator needs
for one image grows with its resolution: 64 images of 1024 px want 32 GiB. So a batch is seen in micro-batches. On a
CPU their size depends on the resolution alone (up to 128 px it is the whole batch), so that every bit stays the same
on any machine; on a GPU it starts from the memory that is free and is halved whenever that was not enough. Nothing
but the float noise of convolutions over another number of images depends on it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import StageError
from pipeline.settings.experiment import BATCH

if TYPE_CHECKING:
    import torch

    from pipeline.domains.base import Domain

Result = TypeVar("Result")

log = logging.getLogger("latentbench")

MAPS = 4  # feature maps of the largest block that a generator holds at its peak, measured at 64, 256 and 1024 px
MICROBATCH_BYTES = 4 * 2**30  # on a CPU
DEVICE_SHARE = 0.5  # of a GPU's free memory that a first micro-batch may take by `image_bytes`; judges need some too

_sizes: dict[tuple[int, str], int] = {}  # of micro-batches by (resolution, device), as they worked in this process


def image_bytes(resolution: int, channels: int = 0) -> int:
    """Bytes that making one image takes: the largest block's maps in float32.

    `channels` are the generator's at its full resolution; 0: those of NVIDIA's config-f.
    """
    if channels:
        return MAPS * 4 * channels * resolution * resolution
    return MAPS * 4 * max(min(32768 // side, 512) * side * side for side in (resolution, max(resolution // 2, 4)))


def microbatch_size(resolution: int, room: float = MICROBATCH_BYTES) -> int:
    """Images of a micro-batch: the largest power of two up to BATCH for which there is room, in bytes; at least 1."""
    size = BATCH
    while size > 1 and size * image_bytes(resolution) > room:
        size //= 2
    return size


def in_microbatches(see: Callable[[slice], Result], count: int, resolution: int, device: torch.device) -> list[Result]:
    """The results of `see` for rows 0 to count - 1, one micro-batch after the other.

    `see(rows)` makes the images of these rows and returns what is wanted of them, without the images where it can.
    It is asked again with half as many rows where a GPU has not enough memory. Raises StageError if it has not
    enough for a single image.
    """
    import torch

    results: list[Result] = []
    start = 0
    while start < count:
        rows = slice(start, min(start + _size(resolution, device), count))
        try:
            results.append(see(rows))
            start = rows.stop
            continue
        except torch.OutOfMemoryError as error:
            told = str(error).partition("\n")[0]
        # Not in the handler: as long as the error lives, so do the tensors of the attempt.
        _halve(rows.stop - rows.start, resolution, device, told)
    return results


def by_microbatch(domain: Domain, see: Callable[[slice], Result], count: int) -> list[Result]:
    """`in_microbatches` for a domain's images, on its device."""
    return in_microbatches(see, count, domain.card.resolution, domain.device)


def _size(resolution: int, device: torch.device) -> int:
    key = (resolution, str(device))
    if key not in _sizes:
        room = _free(device) * DEVICE_SHARE if device.type == "cuda" else MICROBATCH_BYTES
        _sizes[key] = microbatch_size(resolution, room)
    return _sizes[key]


def _free(device: torch.device) -> int:
    """Bytes of a GPU that nobody has, or that torch keeps for this process without using them."""
    import torch

    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def _halve(tried: int, resolution: int, device: torch.device, told: str) -> None:
    """Remember half the micro-batch that was too large. Raises StageError if that was one image."""
    import torch

    if tried <= 1:
        raise StageError(
            f"{device} has not enough memory for a single image of {resolution} px: {told} Free memory on it (other "
            "processes, other workers), set [domain.*] precision = half, or use another device."
        )
    _sizes[resolution, str(device)] = max(1, min(tried, _size(resolution, device)) // 2)
    log.warning(
        "%s has not enough memory for %d images of %d px at once: half as many from here.", device, tried, resolution
    )
    if device.type == "cuda":
        torch.cuda.empty_cache()
