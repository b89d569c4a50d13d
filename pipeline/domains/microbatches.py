"""Micro-batches: how many images of a batch are held in memory at once.

The batches are the same on every machine, so the same images are judged together. A generator's memory per image grows
with its resolution: 64 images of 1024 px need 32 GiB. Therefore a batch is processed in micro-batches. On a CPU their
size depends only on the resolution (up to 128 px it is the whole batch), so results are bit-identical on all machines.
On a GPU the first size follows from the free memory, and is halved whenever the memory is too small. The size changes
results only by the float noise of convolutions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import StageError
from pipeline.settings.experiment import BATCH

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.domains.base import Domain

Result = TypeVar("Result")

log = logging.getLogger("latentbench")

MAPS = 4  # feature maps of the largest block held at the peak, measured at 64, 256 and 1024 px
MICROBATCH_BYTES = 4 * 2**30  # on a CPU
PIECE_ROWS = 2048  # rows of all images that a CPU generates at once: 32 of 64 px, 8 of 256 px, which fit its caches
# Small products of matrices of fewer images than this are summed in another order. In float32 that moves a pixel by
# 6e-6; in bfloat16, where it decides how a number is rounded, by up to .014. With as many, none differs by one bit.
FEWEST = 16
DEVICE_SHARE = 0.5  # share of a GPU's free memory for the first micro-batch, by `image_bytes`; the rest is for judges

_sizes: dict[tuple[int, str], int] = {}  # (resolution, device) -> the size that worked in this process


def image_bytes(resolution: int, channels: int = 0) -> int:
    """Memory in bytes for one image: MAPS feature maps of the largest block in float32.

    `channels` is the generator's number of channels at full resolution; 0 means NVIDIA's config-f.
    """
    if channels:
        return MAPS * 4 * channels * resolution * resolution
    return MAPS * 4 * max(min(32768 // side, 512) * side * side for side in (resolution, max(resolution // 2, 4)))


def microbatch_size(resolution: int, room: float = MICROBATCH_BYTES) -> int:
    """Images per micro-batch: the largest power of two up to BATCH that fits into `room` bytes; at least 1."""
    size = BATCH
    while size > 1 and size * image_bytes(resolution) > room:
        size //= 2
    return size


def in_microbatches(see: Callable[[slice], Result], count: int, resolution: int, device: torch.device) -> list[Result]:
    """The results of `see` for rows 0 to count - 1, one micro-batch after the other.

    `see(rows)` makes the images of these rows and returns a result, if possible without the images. If a GPU's memory
    is too small, it is called again with half as many rows. Raises StageError if a single image does not fit.
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
            message = str(error).partition("\n")[0]
        # Outside of the handler: the error keeps the tensors of the attempt alive.
        _halve(rows.stop - rows.start, resolution, device, message)
    return results


def by_microbatch(domain: Domain, see: Callable[[slice], Result], count: int) -> list[Result]:
    """`in_microbatches` for a domain's images, on its device."""
    return in_microbatches(see, count, domain.card.resolution, domain.device)


def generate(domain: Domain, ws: Tensor) -> Tensor:
    """Images (N, 3, H, W), about [-1, 1], of codes (N, L, 512).

    A CPU makes them in nearly equal pieces of at most PIECE_ROWS rows. In bfloat16 a piece of few images is filled up
    to FEWEST, so that an image is the same to the bit with any number of others: an edit that changes nothing must be
    measured as one.
    """
    import torch

    synthesis = domain.generator.synthesis
    if domain.device.type != "cpu" or not len(ws):
        return synthesis(ws)
    most = max(1, PIECE_ROWS // domain.card.resolution)
    fewest = min(most, FEWEST) if synthesis.half_type == torch.bfloat16 else 1
    pieces = ws.tensor_split(-(-len(ws) // most))
    images = [synthesis(_filled(piece, fewest))[: len(piece)] for piece in pieces]
    return images[0] if len(images) == 1 else torch.cat(images)


def _filled(ws: Tensor, fewest: int) -> Tensor:
    """Codes, the last one repeated up to `fewest` of them."""
    import torch

    lacking = fewest - len(ws)
    return torch.cat([ws, ws[-1:].expand(lacking, -1, -1)]) if lacking > 0 else ws


def _size(resolution: int, device: torch.device) -> int:
    key = (resolution, str(device))
    if key not in _sizes:
        room = _free(device) * DEVICE_SHARE if device.type == "cuda" else MICROBATCH_BYTES
        _sizes[key] = microbatch_size(resolution, room)
    return _sizes[key]


def _free(device: torch.device) -> int:
    """Free bytes of a GPU, including memory that torch has reserved for this process and does not use."""
    import torch

    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def _halve(tried: int, resolution: int, device: torch.device, message: str) -> None:
    """Halve the size after a micro-batch of `tried` images was too large. Raises StageError if `tried` is 1."""
    import torch

    if tried <= 1:
        raise StageError(
            f"{device} has too little memory for a single image of {resolution} px: {message} Free memory on it (other "
            "processes, other workers), set [domain.*] precision = half, or use another device."
        )
    _sizes[resolution, str(device)] = max(1, min(tried, _size(resolution, device)) // 2)
    log.warning(
        "%s has too little memory for %d images of %d px at once: half as many from here.", device, tried, resolution
    )
    if device.type == "cuda":
        torch.cuda.empty_cache()
