"""A trained method at work on some faces, one attribute at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attributes import NAMES, index_of

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method


class Editor:
    """A method's edits of some faces (N) for one attribute.

    Strengths are (M,) signed float64, of the faces at `rows` (M,).
    """

    def __init__(self, domain: Domain, method: Method, faces: Faces, attribute: str) -> None:
        self.domain, self.method, self.faces = domain, method, method.prepared(faces)
        self.column = index_of(attribute)

    def edit(self, strengths: np.ndarray, rows: np.ndarray) -> Tensor:
        """Codes (M, L, 512)."""
        faces = self.faces[rows]
        return self.method.edit_faces(faces, self.vectors(faces, strengths))

    def vectors(self, faces: Faces, strengths: np.ndarray) -> Tensor:
        """Strengths (M,) of the attribute as the (M, 35) that methods take, where the faces (M) are."""
        import torch

        vectors = faces.ws.new_zeros(len(strengths), len(NAMES))
        vectors[:, self.column] = torch.from_numpy(strengths).to(vectors)
        return vectors


def halved(
    inside: np.ndarray, outside: np.ndarray, is_outside: Callable[[np.ndarray], np.ndarray], times: int
) -> tuple[np.ndarray, np.ndarray]:
    """Brackets (M,), halved so often: strengths not outside by `is_outside`, and strengths that are."""
    for _ in range(times):
        middle = (inside + outside) / 2
        out = is_outside(middle)
        inside, outside = np.where(out, inside, middle), np.where(out, middle, outside)
    return inside, outside
