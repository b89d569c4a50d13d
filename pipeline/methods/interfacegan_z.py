"""InterFaceGAN in Z: the normals of linear boundaries among the codes before the mapping network."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pipeline.errors import StageError
from pipeline.methods.base import Faces, FitData
from pipeline.methods.interfacegan import InterFaceGAN

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.methods.interfacegan import Codes

SCALED_Z = "scaled_z"  # carried: z scaled once, plus all steps since


class InterFaceGANZ(InterFaceGAN):
    """z' = z + s n, and w' = w + psi (M(z') - M(z)): M is the mapping network, psi the truncation of w.

    Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR 2020, in the latent space of
    their section 3: n is the unit normal of a linear boundary among z of length sqrt(512), to which the authors'
    `preprocess` scales every z too. For a code w = avg + psi (M(z) - avg) the edit is the code of z',
    avg + psi (M(z') - avg), in every layer.

    As in the authors' code, z is scaled once, before the first edit, and an edit carries z' to the next one: edits in a
    row add up in Z and undo exactly.

    Departures from the authors' code: those of `interfacegan`; and the edit is written as a difference, so that
    strength 0 returns the very same code.

    M scales z' to unit mean square, so that w' approaches M(n) as s grows: a strength of a few times sqrt(512) moves
    the code no further, which calibration sees as a plateau.
    """

    name: ClassVar[str] = "interfacegan_z"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "length in Z, where codes have length sqrt(512)"
    space: ClassVar[str] = "Z"
    carries: ClassVar[tuple[str, ...]] = ("z",)

    def _codes(self, data: FitData) -> Codes:
        return lambda places: scaled(data.z(places))

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """Raises StageError: an edit of z needs z. See `edit_faces`."""
        raise StageError(f"{self.name} edits z, which ws do not tell: call edit_faces, with the z of the faces.")

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """ws (N, L, 512) plus the change of w that z plus strengths (N, 35) times the normals makes, in every layer.

        Raises StageError for faces whose z is not known.
        """
        import torch

        z = self._scaled(faces)
        step = strengths.to(z) @ self.directions_.to(z)
        if faces.mapping is None:
            raise StageError(f"{self.name} edits z, and these faces come without the network that maps z.")
        with torch.no_grad():
            change = faces.truncation_psi * (faces.mapping.map_to_w(z + step) - faces.mapping.map_to_w(z))
        change = torch.where(step.any(dim=1, keepdim=True), change, 0.0)
        return faces.ws + change[:, None]

    def after(self, faces: Faces, strengths: Tensor, ws: Tensor) -> Faces:
        """The faces at ws (N, L, 512) with z' = z + s n, which no later edit scales again."""
        z = self._scaled(faces)
        z = z + strengths.to(z) @ self.directions_.to(z)
        moved = super().after(faces, strengths, ws)
        return replace(moved, z=z, carried={**moved.carried, SCALED_Z: z})

    def _scaled(self, faces: Faces) -> Tensor:
        """z (N, 512) at length sqrt(512), or as the last edit left it. Raises StageError where it is not known."""
        import torch

        if faces.z is None:
            raise StageError(f"{self.name} edits z, and the z of these faces is not known.")
        z = faces.z.to(faces.ws)
        z = z * (math.sqrt(z.shape[1]) / z.norm(dim=1, keepdim=True))
        if SCALED_Z in faces.carried:
            own = faces.carried[SCALED_Z].to(z)
            z = torch.where(own.isnan(), z, own)
        if z.isnan().any():
            raise StageError(
                f"{self.name} edits z, and the z of some of these faces is not known: another edit moved them."
            )
        return z


def scaled(z: np.ndarray) -> np.ndarray:
    """z (N, D) at length sqrt(D)."""
    import numpy as np

    length = np.linalg.norm(z, axis=1, keepdims=True)
    result: np.ndarray = z * (np.float32(math.sqrt(z.shape[1])) / length)
    return result
