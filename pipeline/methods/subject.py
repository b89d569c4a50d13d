"""The subject of the contract: a method with its data, and faces to edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import cycle
from typing import TYPE_CHECKING, Any

from pipeline.attributes import NAMES, index_of
from pipeline.methods import registry
from pipeline.methods.interface import Faces, FitData, Method

if TYPE_CHECKING:
    from torch import Tensor

FACES = 6  # to edit in a check


@dataclass
class Subject:
    """A method to check: its name and settings, its data, at least two faces to edit, the unit of displacement.

    `data` must give the same FitData every time.
    """

    name: str
    data: Callable[[], FitData]
    faces: Faces
    mean_distance: float
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def fit(self) -> Method:
        """The method, freshly fitted."""
        method = registry.build(self.name, self.parameters)
        method.fit(self.data())
        return method

    @cached_property
    def fitted(self) -> Method:
        """The method, fitted once."""
        return self.fit()

    def edit(self, method: Method | None = None, faces: Faces | None = None, **named: float) -> Tensor:
        """Edited codes (N, L, 512) of the faces, by strengths of named attributes."""
        faces = copied(self.faces if faces is None else faces)
        return (method or self.fitted).edit_faces(faces, self.strengths(faces, **named))

    def strengths(self, faces: Faces, **named: float) -> Tensor:
        """Strengths (N, 35) of named attributes; of one that the method cannot edit, the strength of one that it can.

        Two attributes of a method that edits at least two stay two.
        """
        editable = self.fitted.editable()
        others = cycle([name for name in editable if name not in named] or editable)
        return strengths(faces, **{name if name in editable else next(others): x for name, x in named.items()})

    def chain(self, faces: Faces, *changes: Tensor) -> Faces:
        """The faces after edits by strengths (N, 35) in a row; scorer A reads the values that no edit carries."""
        import torch

        data = self.data()
        for change in changes:
            faces = self.fitted.edited(faces, change)
            with torch.no_grad():
                read = data.scorer_a(data.generator.synthesis(faces.ws).clamp(-1.0, 1.0))
            faces = replace(faces, values=torch.where(faces.values.isnan(), read, faces.values))
        return faces

    def distance(self, ws: Tensor, other: Tensor) -> float:
        """The largest distance of codes (N, L, 512) in any layer, in mean distances of two random w."""
        return float((ws - other).norm(dim=2).max()) / self.mean_distance


def copied(faces: Faces) -> Faces:
    """A copy of the faces, so that a method that modifies its input breaks one promise and not all."""
    z = None if faces.z is None else faces.z.clone()
    carried = {name: tensor.clone() for name, tensor in faces.carried.items()}
    return replace(faces, ws=faces.ws.clone(), values=faces.values.clone(), z=z, carried=carried)


def strengths(faces: Faces, **named: float) -> Tensor:
    """Strengths (N, 35) of named attributes, the same for every face."""
    vectors = faces.ws.new_zeros(len(faces.ws), len(NAMES))
    for name, strength in named.items():
        vectors[:, index_of(name)] = strength
    return vectors
