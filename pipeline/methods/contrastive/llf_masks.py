"""LLF's regions: clusters of the generator's feature vectors, their masks, and the change inside a mask."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image
    from torch import Tensor

log = logging.getLogger("latentbench")

RESTARTS = 4  # of K-means; the best is kept
COLOURS: tuple[tuple[int, int, int], ...] = (
    *((230, 75, 60), (60, 130, 225), (60, 175, 90), (240, 180, 40), (150, 85, 210), (40, 185, 190)),
    *((240, 120, 180), (130, 130, 130), (150, 105, 60), (185, 210, 60), (25, 60, 120), (250, 235, 200)),
)
COVER = 0.5  # of a mask over a face


def points_of(maps: Tensor) -> np.ndarray:
    """Every pixel of feature maps (N, C, h, w) as a row, (N h w, C) float32."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).float().cpu().numpy()


def fit_clusters(maps: Tensor, count: int, seed: int) -> Tensor:
    """The centres of `find_clusters`."""
    return find_clusters(maps, count, seed)[0]


def find_clusters(maps: Tensor, count: int, seed: int) -> tuple[Tensor, dict[str, Any]]:
    """Centres (count, C) of clusters of the pixels of feature maps (N, C, h, w), and facts of scikit-learn's K-means.

    K-means numbers its clusters by chance; here they are ordered by their mean height in the image, from the top. It
    runs on one thread, so that the same maps give the same bits. The facts are `iterations` and `converged` of the
    restart that is kept, and `inertia`. The log warns where it did not converge.
    """
    import torch
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    points = points_of(maps)
    with threadpool_limits(1):
        machine = KMeans(n_clusters=count, n_init=RESTARTS, random_state=seed).fit(points)
    end = {"iterations": int(machine.n_iter_), "converged": bool(machine.n_iter_ < machine.max_iter)}
    if not end["converged"]:
        log.warning("K-means with k = %d stopped after %d iterations, unconverged.", count, machine.n_iter_)
    rows = torch.arange(maps.shape[2]).repeat_interleave(maps.shape[3]).repeat(maps.shape[0])
    labels = torch.from_numpy(machine.labels_).long()
    sizes = torch.bincount(labels, minlength=count).clamp(min=1)
    heights = torch.bincount(labels, weights=rows.double(), minlength=count) / sizes
    centres = torch.from_numpy(machine.cluster_centers_).to(maps)
    order = heights.argsort(stable=True).to(maps.device)
    return centres[order], {**end, "inertia": float(machine.inertia_)}


def label_maps(maps: Tensor, centres: Tensor) -> Tensor:
    """The nearest of the centres (K, C) to every pixel of maps (..., C, h, w): (..., h, w) int64, on their device.

    It minimises ||x - c||^2 - ||x||^2; the second term is the same for all centres. No gradient passes.
    """
    import torch

    with torch.no_grad():
        products = torch.einsum("...chw,kc->...khw", maps, centres)
        distances = centres.square().sum(dim=1)[:, None, None] - 2 * products
        return distances.argmin(dim=-3)


def region_of(before: Tensor, after: Tensor, centres: Tensor, cluster: int) -> Tensor:
    """Pixels that are of the cluster before or after: before (B, C, h, w), after (K, B, C, h, w) -> (K, B, 1, h, w)."""
    region = (label_maps(before, centres) == cluster) | (label_maps(after, centres) == cluster)
    return region[:, :, None]


def spread_over(region: Tensor, channels: int) -> Tensor:
    """The regions (K, B, 1, h, w) of faces, spread over channels as in the authors' code: (K, B, C, h, w).

    Channel c of face b gets the region of face (b C + c) mod B: their code repeats the B masks C times, C first, and
    reads them as B times C.

    >>> import torch
    >>> regions = torch.tensor([True, False]).reshape(1, 2, 1, 1, 1)  # of two faces
    >>> spread_over(regions, channels=3)[0, :, :, 0, 0]
    tensor([[ True, False,  True],
            [False,  True, False]])
    """
    import torch

    batch = region.shape[1]
    of = torch.arange(batch * channels, device=region.device).reshape(batch, channels) % batch
    return region[:, of, 0]


def inside_and_outside(change: Tensor, region: Tensor) -> tuple[float, float]:
    """Mean square of change (K, B, C, h, w) per feature, inside and outside the region (K, B, 1, h, w)."""
    squares = change.square().mean(dim=2, keepdim=True)
    inside, outside = region.to(squares), (~region).to(squares)
    mean_inside = float((squares * inside).sum() / inside.sum().clamp(min=1))
    return mean_inside, float((squares * outside).sum() / outside.sum().clamp(min=1))


def paint_masks(images: Tensor, labels: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1] under the colours of label maps (N, h, w), enlarged without smoothing."""
    import torch

    palette = torch.tensor(COLOURS, dtype=torch.float32, device=images.device) / 127.5 - 1
    grown = enlarge(labels, images.shape[2]).to(images.device)
    return torch.lerp(images.clamp(-1, 1), palette[grown % len(palette)].permute(0, 3, 1, 2), COVER)


def enlarge(labels: Tensor, size: int) -> Tensor:
    """Label maps (N, h, w) enlarged to (N, size, size) by repeating pixels."""
    from torch.nn import functional

    return functional.interpolate(labels[:, None].float(), size=(size, size), mode="nearest")[:, 0].long()


def mask_sheet(images: Tensor, labels: Tensor, names: Sequence[str], *, size: int = 128) -> Image.Image:
    """A row of faces (N, 3, H, W), a row of them under their masks (N, h, w), and the names of the colours."""
    import torch
    from PIL import Image, ImageDraw

    from pipeline.images import resize, sheet

    faces = resize(images, size)
    both = sheet(torch.cat([faces, paint_masks(faces, labels)]), columns=len(images))
    line = 16
    picture = Image.new("RGB", (max(both.width, 260), both.height + line * len(names) + 6), "white")
    picture.paste(both, (0, 0))
    draw = ImageDraw.Draw(picture)
    for index, name in enumerate(names):
        top = both.height + 4 + index * line
        draw.rectangle((2, top + 1, 14, top + 13), fill=COLOURS[index % len(COLOURS)])
        draw.text((20, top), name, fill="black")
    return picture


def seed_of(rng: torch.Generator) -> int:
    """A seed for scikit-learn, drawn from a torch generator."""
    import torch

    return int(torch.randint(2**31 - 1, (1,), generator=rng))
