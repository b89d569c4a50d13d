"""What an edit answers: the codes, what its method carries, and NaN for what nobody knows any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pipeline.methods.controls import RandomDirection
from pipeline.methods.interface import Faces, Method
from pipeline.methods.masking import masked
from pipeline.methods.subject import strengths
from tests.worlds import toy


class OldValues(RandomDirection):
    """A plug-in of the first signature: `edit(ws, strengths, values)` and no more. Its edit depends on the values."""

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        return ws + (strengths @ self.directions_)[:, None] * values[:, :1, None]


class OldZ(RandomDirection):
    """A plug-in that overrides `edit_faces(faces, strengths)` to edit z, and answers codes."""

    seen: list[Tensor]

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        assert faces.z is not None
        self.seen = [*getattr(self, "seen", []), faces.z]
        return faces.ws + (strengths @ self.directions_ * faces.z[:, :1])[:, None]


def fitted(kind: type[Method]) -> Any:
    method = kind()
    method.fit(toy.fit_data(64))
    return method


def test_what_nobody_knows_of_a_face_that_moved_is_nan() -> None:
    faces = replace(toy.faces(3), carried={"own": torch.ones(3, 2)})
    ws = faces.ws.clone()
    ws[1, 2, 5] += 1
    found = faces.moved(ws)
    assert found.z is not None and faces.z is not None and torch.equal(found.ws, ws)
    for after, before in ((found.values, faces.values), (found.z, faces.z), (found.carried["own"], torch.ones(3, 2))):
        assert bool(after[1].isnan().all()) and torch.equal(after[[0, 2]], before[[0, 2]])
    assert bool(faces.values.isfinite().all()) and bool(faces.z.isfinite().all()), "the faces it began with stay"
    assert torch.equal(found[torch.tensor([2])].carried["own"], torch.ones(1, 2))


def test_a_method_of_the_first_signature_answers_faces() -> None:
    method, faces = fitted(OldValues), toy.faces(3)
    change = strengths(faces, age=2.0) * torch.tensor([[1.0], [0.0], [-1.0]])
    found = method.edited(faces, change)
    assert torch.equal(found.ws, method.edit(faces.ws, change, faces.values))
    assert bool(found.values[[0, 2]].isnan().all()) and torch.equal(found.values[1], faces.values[1])


def test_a_method_that_overrides_edit_faces_sees_the_z_of_the_unedited_faces_in_a_chain() -> None:
    """It goes on working, plain and masked, and the faces that it answers do not claim that z."""
    for mask in ("none", "styleflow"):
        inner, faces = fitted(OldZ), toy.faces(3)
        method, found = masked(inner, mask), faces
        for rows in (slice(0, 3), slice(1, 3)):
            found = method.edited(found[rows], strengths(found[rows], age=2.0))
            assert found.z is not None and bool(found.z.isnan().all()) and bool(found.ws.isfinite().all())
        assert faces.z is not None and len(inner.seen) >= 2
        assert torch.equal(inner.seen[0], faces.z) and torch.equal(inner.seen[-1], faces.z[1:])


def test_faces_without_z_stay_without() -> None:
    faces = replace(toy.faces(2), z=None, mapping=None)
    assert fitted(OldValues).edited(faces, strengths(faces, age=1.0)).z is None
