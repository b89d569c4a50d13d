"""The optional layer mask of every method: its edit in the layers of StyleFlow's table, the unedited code elsewhere.

The mask is an ablation: StyleFlow owes part of its locality to that table, so any method may use it. In luigi.cfg:
[method.NAME] layer_mask = styleflow.

>>> import torch
>>> from pipeline.attributes import index_of
>>> from pipeline.methods.controls import RandomDirection
>>> inner = RandomDirection()
>>> inner.restore({"directions": torch.ones(35, 512)}, {})
>>> strengths = torch.zeros(1, 35)
>>> strengths[0, index_of("age")] = 1.0
>>> masked(inner, "styleflow").edit(torch.zeros(1, 10, 512), strengths, torch.zeros(1, 35))[0, :, 0]
tensor([0., 0., 1., 1., 1., 0., 0., 0., 0., 0.])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.methods.interface import UNEDITED_Z, Faces, FitData, Method
from pipeline.methods.layer_table import layer_masks
from pipeline.settings.file import OF_EVERY_METHOD

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from pipeline.methods.bytes_taken import Cost

(SETTING,) = OF_EVERY_METHOD
NONE, STYLEFLOW = "none", "styleflow"


def masked(method: Method, mask: object) -> Method:
    """The method with the layer mask "styleflow", or itself for "none". Raises ConfigError for any other word."""
    if mask == NONE:
        return method
    if mask != STYLEFLOW:
        raise ConfigError(f"[method.{method.name}] {SETTING}: expected {NONE} or {STYLEFLOW}, found {mask!r}.")
    return Masked(method)


class Masked(Method):
    """A method around an inner one: w'_l of the inner method in the layers l of the attribute, w_l in the others.

    Where several attributes change at once, each layer takes the inner method's edit of the attributes that the table
    assigns to it. What is learned and saved is the inner method's, to the bit; `parameters` has one more key, so the
    stages differ.

    What the inner method carries from one edit to the next is kept for each set of layers separately. A layer always
    has the code to which the inner method's edits of that layer's attributes lead, one after the other.
    """

    def __init__(self, inner: Method) -> None:
        self.inner = inner
        facts = ("name", "version", "paper", "unit", "supervision", "exact_undo", "carries", "value_bounded", "control")
        vars(self).update({fact: getattr(inner, fact) for fact in facts})
        vars(self).update(space="W+", exact_identity=True)

    def parameters(self) -> dict[str, Any]:
        """The parameters of the inner method, and the mask."""
        return self.inner.parameters() | {SETTING: STYLEFLOW}

    def cost(self, card: DomainCard) -> Cost | None:
        """The inner method's."""
        return self.inner.cost(card)

    def check(self, card: DomainCard, attributes: Sequence[str]) -> None:
        """As the inner method."""
        self.inner.check(card, attributes)

    def editable(self) -> tuple[str, ...]:
        """The inner method's."""
        return self.inner.editable()

    def fit(self, data: FitData) -> None:
        """As the inner method: a mask affects edits only."""
        self.inner.fit(data)

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """Edited codes (N, L, 512)."""
        return self.edit_faces(Faces(ws, values), strengths)

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """Edited codes (N, L, 512)."""
        return self.edited(faces, strengths).ws

    def edited(self, faces: Faces, strengths: Tensor) -> Faces:
        """The faces after one edit of the inner method for each set of attributes that share layers."""
        ws, masks = faces.ws.clone(), layer_masks(faces.ws.shape[1]).to(strengths.device)
        active = masks & strengths.any(dim=0)[:, None]
        parts = _parts(masks)
        states = [self._state(faces, part) for part in range(len(parts))]
        for kept, members in _groups(active, parts, apart=any(state is not faces for state in states)):
            own = strengths * kept
            rows = own.any(dim=1).nonzero()[:, 0].to(ws.device)
            if len(rows):
                moved = self.inner.edited(states[members[0]][rows], own[rows])
                for part in members:
                    layers = parts[part].to(ws.device)
                    ws[rows[:, None], layers] = moved.ws[:, layers]
                    if self.inner.carries:
                        states[part] = _put(states[part], rows, moved)
        return replace(faces.moved(ws), carried=self._carried(faces, states))

    def _state(self, faces: Faces, part: int) -> Faces:
        """The faces as the inner method left them in one set of layers; the faces themselves before its first edit."""
        prefix = f"{part}/"
        own = {name.removeprefix(prefix): held for name, held in faces.carried.items() if name.startswith(prefix)}
        if not own:
            return faces
        values = own.pop("values", faces.values)
        values = values.where(~values.isnan(), faces.values)
        return replace(faces, values=values, z=own.pop("z", None), carried=own)

    def _carried(self, faces: Faces, states: list[Faces]) -> dict[str, Tensor]:
        """What the next edit needs, per set of layers; for a method that carries nothing, the z of `Method.edited`."""
        if not self.inner.carries:
            unedited = faces.carried.get(UNEDITED_Z, faces.z)
            return {} if unedited is None else {UNEDITED_Z: unedited}
        held: dict[str, Tensor] = {}
        for part, state in enumerate(states):
            fields = {name: getattr(state, name) for name in ("z", "values") if name in self.inner.carries}
            own = {name: tensor for name, tensor in fields.items() if tensor is not None} | dict(state.carried)
            held |= {f"{part}/{name}": tensor for name, tensor in own.items()}
        return held

    def state(self) -> dict[str, Tensor]:
        """The inner method's."""
        return self.inner.state()

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """As the inner method."""
        self.inner.restore(state, facts)

    def facts(self) -> dict[str, Any]:
        """The inner method's."""
        return self.inner.facts()

    def save(self, folder: Path) -> None:
        """As the inner method, which `load` returns."""
        self.inner.save(folder)


def _parts(masks: Tensor) -> list[Tensor]:
    """The layers of masks (35, L) in sets; the layers of a set keep the edits of the same attributes."""
    import torch

    kinds, kind_of = torch.unique(masks, dim=1, return_inverse=True)
    return [(kind_of == kind).nonzero()[:, 0] for kind in range(kinds.shape[1])]


def _groups(active: Tensor, parts: list[Tensor], *, apart: bool) -> list[tuple[Tensor, list[int]]]:
    """Per edit of the inner method, attributes (35,) and the sets of layers that take it; one each if `apart`."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for part, layers in enumerate(parts):
        groups.setdefault((*active[:, layers[0]].tolist(), part if apart else None), []).append(part)
    return [(active[:, parts[members[0]][0]], members) for members in groups.values()]


def _put(faces: Faces, rows: Tensor, some: Faces) -> Faces:
    """Faces with values, z and carried state of `some` at `rows`; the codes stay."""

    def put(whole: Tensor | None, part: Tensor) -> Tensor:
        held = part.new_full((len(faces.ws), *part.shape[1:]), math.nan) if whole is None else whole.clone()
        held[rows] = part.to(held)
        return held

    carried = dict(faces.carried)
    carried |= {name: put(carried.get(name), part) for name, part in some.carried.items()}
    z = faces.z if some.z is None else put(faces.z, some.z)
    return replace(faces, values=put(faces.values, some.values), z=z, carried=carried)
