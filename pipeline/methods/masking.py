"""The optional layer mask of every method: its edit in the layers of StyleFlow's table, the unedited code elsewhere.

An ablation: StyleFlow owes part of its locality to that table, so any method may have it. In luigi.cfg:
[method.NAME] layer_mask = styleflow.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.methods.base import UNEDITED_Z, Faces, FitData, Method
from pipeline.methods.layer_table import layer_masks
from pipeline.settings.settings import OF_EVERY_METHOD

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from pipeline.methods.cost import Cost

(SETTING,) = OF_EVERY_METHOD
NONE, STYLEFLOW = "none", "styleflow"


def masked(method: Method, mask: object) -> Method:
    """The method with that layer mask, or itself for "none". Raises ConfigError for another word."""
    if mask == NONE:
        return method
    if mask != STYLEFLOW:
        raise ConfigError(f"[method.{method.name}] {SETTING}: expected {NONE} or {STYLEFLOW}, found {mask!r}.")
    return Masked(method)


class Masked(Method):
    """A method around another one: w'_l of the inner one where layer l keeps an edit of the attribute, w_l elsewhere.

    Several attributes at once: each layer takes the inner method's edit by the attributes whose layer it is, and no
    layer of theirs moves for others. What is learned and saved is the inner method's, to the bit; `parameters`
    have one more, which sets its stages apart.

    What the inner method carries from an edit to the next, each set of layers carries for itself: a layer is always
    where the inner method's edits by that layer's own attributes, one after the other, lead.
    """

    def __init__(self, inner: Method) -> None:
        self.inner = inner
        facts = ("name", "version", "paper", "unit", "supervision", "exact_undo", "carries", "value_bounded", "control")
        vars(self).update({fact: getattr(inner, fact) for fact in facts})
        vars(self).update(space="W+", exact_identity=True)

    def parameters(self) -> dict[str, Any]:
        """The inner method's, and the mask."""
        return self.inner.parameters() | {SETTING: STYLEFLOW}

    def cost(self, card: DomainCard) -> Cost | None:
        """The inner method's."""
        return self.inner.cost(card)

    def fit(self, data: FitData) -> None:
        """As the inner method: a mask is for edits alone."""
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
        """The faces as the inner method left them in one set of layers; where it edited none yet, the faces."""
        prefix = f"{part}/"
        own = {name.removeprefix(prefix): held for name, held in faces.carried.items() if name.startswith(prefix)}
        if not own:
            return faces
        values = own.pop("values", faces.values)
        values = values.where(~values.isnan(), faces.values)
        return replace(faces, values=values, z=own.pop("z", None), carried=own)

    def _carried(self, faces: Faces, states: list[Faces]) -> dict[str, Tensor]:
        """What the next edit needs of each set of layers; of a method that carries nothing, what base.py shows it."""
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
        """As the inner method, which is what `load` gives back."""
        self.inner.save(folder)


def _parts(masks: Tensor) -> list[Tensor]:
    """The layers of masks (35, L) in sets: those of a set keep the edits of the same attributes."""
    import torch

    kinds, kind_of = torch.unique(masks, dim=1, return_inverse=True)
    return [(kind_of == kind).nonzero()[:, 0] for kind in range(kinds.shape[1])]


def _groups(active: Tensor, parts: list[Tensor], *, apart: bool) -> list[tuple[Tensor, list[int]]]:
    """Sets of layers that one edit serves: its attributes (35,), and the sets; if `apart`, each set has its own."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for part, layers in enumerate(parts):
        groups.setdefault((*active[:, layers[0]].tolist(), part if apart else None), []).append(part)
    return [(active[:, parts[members[0]][0]], members) for members in groups.values()]


def _put(faces: Faces, rows: Tensor, some: Faces) -> Faces:
    """Faces with what is known of `some`, which are those at `rows`; the codes stay."""

    def put(whole: Tensor | None, part: Tensor) -> Tensor:
        held = part.new_full((len(faces.ws), *part.shape[1:]), math.nan) if whole is None else whole.clone()
        held[rows] = part.to(held)
        return held

    carried = dict(faces.carried)
    carried |= {name: put(carried.get(name), part) for name, part in some.carried.items()}
    z = faces.z if some.z is None else put(faces.z, some.z)
    return replace(faces, values=put(faces.values, some.values), z=z, carried=carried)
