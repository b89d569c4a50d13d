"""The true region of an attribute in a picture: the pixels of its parts, with the camera's blur."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.domains.synthface import camera
from pipeline.domains.synthface.canvas import PART_INDEX, FactorPlanes
from pipeline.domains.synthface.factors import FACTORS, PARTS, column
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.truth import truth_factors

INSIDE_SHARE = 0.05  # smallest share of the parts in a pixel inside the region


def is_global(attribute: str) -> bool:
    """Whether the attribute affects all parts (pose, light, blur, ...), so that nothing is outside of it."""
    return FACTORS[column(attribute)].parts == PARTS


def driven(faces: Tensor, index: int, value: float) -> Tensor:
    """The factors (N, N_FACTORS) with one column at `value`."""
    moved = faces.clone()
    moved[:, index] = value
    return moved


def inside(masks: Tensor, faces: Tensor, parts: tuple[str, ...]) -> Tensor:
    """(N, H, W) bool: pixels in which the parts have at least the share INSIDE_SHARE after the camera's blur.

    `masks` (N, len(PARTS), H, W) come from `render`; `faces` (N, N_FACTORS) determine the blur.
    """
    share = masks[:, [PART_INDEX[part] for part in parts]].sum(dim=1, keepdim=True)
    blurred = camera.blurred(share, FactorPlanes(faces)("blur")[:, 0, 0])
    return blurred[:, 0] >= INSIDE_SHARE


@torch.no_grad()
def parts_of(w: Tensor, attribute: str, resolution: int) -> Tensor | None:
    """(N, H, W) bool: pixels where an attribute can show on the true faces of w (N, 512); None if it is global.

    The region has the attribute's parts at both ends of its range: for a beard, the face with and without it.
    """
    if is_global(attribute):
        return None
    index, faces = column(attribute), truth_factors(w.cpu())
    within = torch.zeros(len(w), resolution, resolution, dtype=torch.bool)
    for value in (0.0, 1.0):
        end = driven(faces, index, value)
        masks = render(end, resolution, masks=True).masks
        assert masks is not None
        within |= inside(masks, end, FACTORS[index].parts)
    return within.to(w.device)
