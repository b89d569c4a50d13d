"""What the judges see in images: detector, scorer B, both recognizers, perception net, MTCNN's features, truth reader.

One pass looks at a batch while it is on the device. `compare_views` compares edited images with unedited ones and
gives the columns that every table of edits shares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline.domains.microbatches import by_microbatch, generate
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain

Batch = TypeVar("Batch")
Result = TypeVar("Result")

VIEW_ROLES = ("generator", "scorer_b", "recognizer_a", "recognizer_b", "perception", "detector")
# Of a pixel in [-1, 1]: an image of one code differs by up to 3e-5 from batch to batch, and by 1.7e-3 and more from
# that of a code which is a thousandth of the mean distance away.
PIXEL_NOISE = 1e-4
VIEW_ROLES_OF_SOME = ("reader", "lpips")  # in domains that know the truth, and that bring an LPIPS network of its own


@dataclass(frozen=True)
class View:
    """What the judges see in N images (N, 3, H, W), all on one device.

    values: (N, 35) by scorer B. mtcnn: (N, 256), of unit norm. recognizer_a, recognizer_b: (N, D), of unit norm.
    features: (N, d) and logits: (N, classes) by the perception net. person: (N, K), the truth reader's coordinates,
    (N, 0) in a domain without one. perceived: (N, K), what LPIPS compares, where `Domain.perceive` knows it.
    """

    images: Tensor
    found: Tensor
    probability: Tensor
    box: Tensor
    values: Tensor
    mtcnn: Tensor
    recognizer_a: Tensor
    recognizer_b: Tensor
    features: Tensor
    logits: Tensor
    person: Tensor
    perceived: Tensor

    def __getitem__(self, rows: Tensor) -> View:
        return View(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def look(domain: Domain, images: Tensor, threshold: float) -> View:
    """Let every judge see the images (N, 3, H, W) in [-1, 1]."""
    from torch.nn.functional import normalize

    detection = domain.detector.detect(images, threshold=threshold)
    features, logits, perceived = domain.perceive(images)
    return View(
        images=images,
        found=detection.found,
        probability=detection.probability,
        box=detection.box,
        values=domain.scorer_b(images),
        mtcnn=normalize(domain.detector.identity_features(images, detection.box), dim=1),
        recognizer_a=domain.recognizer_a(images),
        recognizer_b=domain.recognizer_b(images),
        features=features,
        logits=logits,
        person=images.new_empty(len(images), 0) if domain.reader is None else domain.reader.coordinates(images),
        perceived=perceived,
    )


def look_at_codes(domain: Domain, ws: Tensor, threshold: float) -> View:
    """What every judge sees in the images of codes (N, L, 512), made a micro-batch at a time."""
    import torch

    views = by_microbatch(domain, lambda rows: look(domain, synthesise(domain, ws[rows]), threshold), len(ws))
    return View(*(torch.cat([getattr(view, name) for view in views]) for name in View.__dataclass_fields__))


def compare_views(domain: Domain, edited: View, unedited: View) -> dict[str, Tensor]:
    """Columns of the edits table that set each image (N) beside the unedited one of its face (N).

    Without those of the truth reader in a domain that has none: they are null in the table.
    """
    from pipeline.networks.pairs import structural_similarity
    from pipeline.networks.truth_reader import distance as true_distance

    def distance(role: str) -> Tensor:
        return (1 - (getattr(edited, role) * getattr(unedited, role)).sum(dim=1)).clamp(min=0.0)

    columns = {
        "identity_mtcnn": distance("mtcnn"),
        "identity_recognizer_a": distance("recognizer_a"),
        "identity_recognizer_b": distance("recognizer_b"),
        "lpips": domain.separation((edited.images, edited.perceived), (unedited.images, unedited.perceived)),
        "ssim": structural_similarity(edited.images, unedited.images),
    }
    if domain.reader is not None:
        columns["true_identity_distance"] = true_distance(edited.person, unedited.person)
        columns["true_identity_error"] = domain.reader.error.expand(len(edited.images))
    return columns


def local_change(edited: Tensor, unedited: Tensor, within: Tensor) -> dict[str, Tensor]:
    """`local_share` and `parts_area` (N,) of images (N, 3, H, W) and where (N, H, W) the attribute can show.

    The share of the squared change that lies within; NaN where no pixel changed by more than PIXEL_NOISE.
    """
    change = edited - unedited
    squared = change.square().sum(dim=1)
    changed = change.abs().amax(dim=(1, 2, 3)) > PIXEL_NOISE
    share = (squared * within).sum(dim=(1, 2)) / squared.sum(dim=(1, 2)).where(changed, math.nan)
    return {"local_share": share, "parts_area": within.float().mean(dim=(1, 2)).where(changed, math.nan)}


def synthesise(domain: Domain, ws: Tensor) -> Tensor:
    """Images (N, 3, H, W) of codes (N, L, 512), cut to [-1, 1] as a saved picture is."""
    return generate(domain, ws).clamp(-1.0, 1.0)


def see_batches(
    domain: Domain,
    count: int,
    make: Callable[[slice], Batch],
    see: Callable[[Batch, slice], Result],
    progress: Progress | None = None,
) -> list[Result]:
    """What is seen in `count` images, in order, a micro-batch at a time.

    `make(rows)` gives what images of a batch of BATCH rows are made from, such as codes; `see(batch, rows)` makes those
    of these rows of the batch and answers what is wanted of them.
    """
    results: list[Result] = []
    for start in range(0, count, BATCH):
        rows = slice(start, min(start + BATCH, count))
        results += by_microbatch(domain, partial(see, make(rows)), rows.stop - rows.start)
        if progress is not None:
            progress(rows.stop, count, "")
    return results


def see_latents(
    domain: Domain, w: np.ndarray, see: Callable[[Tensor], tuple[np.ndarray, ...]], progress: Progress
) -> tuple[np.ndarray, ...]:
    """The arrays (N, ...) that `see(ws)` makes of codes (M, L, 512), of all latents w (N, 512)."""
    import torch

    def make(rows: slice) -> Tensor:
        return domain.generator.mapping.broadcast(torch.from_numpy(w[rows]).to(domain.device))

    with torch.inference_mode():
        parts = see_batches(domain, len(w), make, lambda ws, rows: see(ws[rows]), progress)
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def joined(parts: list[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    """Columns (N, ...) of all micro-batches, on the CPU."""
    import torch

    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def displacement(domain: Domain, edited: Tensor, ws: Tensor) -> Tensor:
    """||w' - w|| (N,) of codes (N, L, 512), root mean square over the layers, in mean distances of two random w."""
    return (edited - ws).norm(dim=2).square().mean(dim=1).sqrt() / domain.mean_distance
