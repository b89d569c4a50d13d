"""Expressions: how smile and the seven emotions move brows, eyes and mouth."""

from dataclasses import dataclass

from torch import Tensor

from pipeline.domains.synthface.canvas import FactorPlanes
from pipeline.domains.synthface.geometry import Proportions


@dataclass
class Expression:
    """Displacements in head units, each (N, 1, 1).

    brow_raise: of the whole brow; brow_inner: of its inner end; eye_open: factor of the lids'
    opening; squint: of the lower lid; corner: height of the mouth corners over the middle;
    sneer: extra height of one corner; opening: half height of the open mouth; width: factor;
    lip_raise: of the upper lip; nose_wrinkle, cheeks: strengths in [0, 1].
    """

    brow_raise: Tensor
    brow_inner: Tensor
    eye_open: Tensor
    corner: Tensor
    sneer: Tensor
    opening: Tensor
    width: Tensor
    lip_raise: Tensor
    nose_wrinkle: Tensor
    cheeks: Tensor


def expression(faces: FactorPlanes, shape: Proportions) -> Expression:
    """The sum of the displacements of smile and emotions; `neutral` closes and straightens the mouth."""
    smile, anger, fear = faces("smile"), faces("anger"), faces("fear")
    disgust, sad, surprise = faces("disgust"), faces("sadness"), faces("surprise")
    calm = faces("neutral")
    opening = 0.004 + 0.018 * faces("mouth_opening") + 0.024 * smile
    opening = opening * (1 - 0.85 * calm) + 0.085 * surprise + 0.03 * fear + 0.012 * anger
    return Expression(
        brow_raise=0.055 * surprise
        + 0.04 * fear
        - 0.035 * anger
        - 0.02 * disgust
        + 0.01 * faces.signed("brow_arch")
        - 0.014 * calm,
        brow_inner=0.075 * sad + 0.03 * fear - 0.07 * anger - 0.02 * disgust,
        eye_open=(
            1 + 0.45 * surprise + 0.40 * fear - 0.22 * anger - 0.30 * disgust - 0.22 * sad - 0.14 * smile - 0.12 * calm
        ),
        corner=-0.008 + 0.068 * smile - 0.07 * sad - 0.035 * anger - 0.03 * disgust - 0.015 * fear,
        sneer=0.14 * faces("contempt"),
        opening=opening,
        width=1 + 0.24 * smile + 0.20 * fear - 0.24 * surprise - 0.10 * sad - 0.08 * calm,
        lip_raise=0.03 * disgust + 0.008 * smile,
        nose_wrinkle=(disgust + 0.4 * anger).clamp(max=1),
        cheeks=smile,
    )
