"""InterFaceGAN in Z: the normals of linear boundaries between codes before the mapping network."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pipeline.errors import StageError
from pipeline.methods.interface import Faces, FitData
from pipeline.methods.interfacegan import InterFaceGAN
from pipeline.methods.learned import refuse_others

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.methods.interfacegan import Codes

SCALED_Z = "scaled_z"  # carried: z, scaled once, plus all steps since then


class InterFaceGANZ(InterFaceGAN):
    """z' = z + s n, and w' = w + psi (M(z') - M(z)): M is the mapping network, psi the truncation of w.

    Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR 2020, in the latent space of
    their section 3: n is the unit normal of a linear boundary among z of length sqrt(512); the authors' `preprocess`
    scales every z to that length too. For a code w = avg + psi (M(z) - avg) the edit is the code of z',
    avg + psi (M(z') - avg), in every layer.

    As in the authors' code, z is scaled once, before the first edit, and an edit carries z' to the next one. So edits
    in a row add up in Z and undo exactly.

    Departures from the authors' code: as for `interfacegan`; and the edit is written as a difference, so that
    strength 0 returns the very same code.

    M scales z' to unit mean square, so w' approaches M(n) as s grows. Beyond a strength of a few times sqrt(512) the
    code hardly moves; calibration finds that plateau.

    With the identity for M and psi 0.5, a step of 2 in Z is a step of about 1 in W:

    >>> from types import SimpleNamespace
    >>> import torch
    >>> method = InterFaceGANZ()
    >>> method.restore({"directions": torch.eye(35, 512)}, {})
    >>> mapping = SimpleNamespace(map_to_w=lambda z: z)
    >>> faces = Faces(torch.zeros(1, 2, 512), torch.zeros(1, 35), torch.ones(1, 512), mapping, truncation_psi=0.5)
    >>> strengths = torch.zeros(1, 35)
    >>> strengths[0, 1] = 2.0
    >>> method.edit_faces(faces, strengths)[0, :, :3]
    tensor([[0., 1., 0.],
            [0., 1., 0.]])
    """

    name: ClassVar[str] = "interfacegan_z"
    version: ClassVar[int] = 3
    unit: ClassVar[str] = "length in Z, where codes have length sqrt(512)"
    space: ClassVar[str] = "Z"
    carries: ClassVar[tuple[str, ...]] = ("z",)

    def _codes(self, data: FitData) -> Codes:
        return lambda rows: scaled(data.z(rows))

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """Raises StageError: an edit in Z needs z. See `edit_faces`."""
        raise StageError(f"{self.name} edits z, which ws do not contain: call edit_faces, with the z of the faces.")

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """ws (N, L, 512) plus the change of w by a step in Z, strengths (N, 35) times the normals, in every layer.

        Raises StageError for faces whose z is not known, and for an attribute that is not among `attributes`.
        """
        import torch

        refuse_others(self.name, self.attributes, strengths)
        z = self._scaled(faces)
        step = strengths.to(z) @ self.directions_.to(z)
        if faces.mapping is None:
            raise StageError(f"{self.name} edits z, and these faces come without the network that maps z.")
        with torch.no_grad():
            change = faces.truncation_psi * (faces.mapping.map_to_w(z + step) - faces.mapping.map_to_w(z))
        change = torch.where(step.any(dim=1, keepdim=True), change, 0.0)
        return faces.ws + change[:, None]

    def after(self, faces: Faces, strengths: Tensor, ws: Tensor) -> Faces:
        """The faces at ws (N, L, 512) with z' = z + s n, which later edits do not scale again."""
        z = self._scaled(faces)
        z = z + strengths.to(z) @ self.directions_.to(z)
        moved = super().after(faces, strengths, ws)
        return replace(moved, z=z, carried={**moved.carried, SCALED_Z: z})

    def _scaled(self, faces: Faces) -> Tensor:
        """z (N, 512) scaled to length sqrt(512), or as the last edit left it. Raises StageError where z is unknown."""
        import torch

        if faces.z is None:
            raise StageError(f"{self.name} edits z, and the z of these faces is not known.")
        z = faces.z.to(faces.ws)
        z = z * (math.sqrt(z.shape[1]) / z.norm(dim=1, keepdim=True))
        if SCALED_Z in faces.carried:
            carried = faces.carried[SCALED_Z].to(z)
            z = torch.where(carried.isnan(), z, carried)
        if z.isnan().any():
            raise StageError(
                f"{self.name} edits z, and the z of some of these faces is not known: another edit moved them."
            )
        return z


def scaled(z: np.ndarray) -> np.ndarray:
    """z (N, D), each row scaled to length sqrt(D).

    >>> import numpy as np
    >>> scaled(np.array([[3.0, 0.0, 0.0, 4.0]]))  # length 5 becomes 2
    array([[1.2, 0. , 0. , 1.6]])
    """
    import numpy as np

    length = np.linalg.norm(z, axis=1, keepdims=True)
    return z * (np.float32(math.sqrt(z.shape[1])) / length)
