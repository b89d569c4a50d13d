"""The optional layer mask of every method: its edit in the layers of StyleFlow's table, the unedited code elsewhere.

An ablation: StyleFlow owes part of its locality to that table, so any method may have it. In luigi.cfg:
[method.NAME] layer_mask = styleflow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.methods.base import Faces, FitData, Method
from pipeline.methods.layers import layer_masks

if TYPE_CHECKING:
    from torch import Tensor

SETTING = "layer_mask"
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
    """

    def __init__(self, inner: Method) -> None:
        self.inner = inner
        facts = ("name", "version", "paper", "unit", "supervision", "value_bounded", "control")
        vars(self).update({fact: getattr(inner, fact) for fact in facts})
        vars(self).update(space="W+", exact_identity=True)

    def parameters(self) -> dict[str, Any]:
        """The inner method's, and the mask."""
        return self.inner.parameters() | {SETTING: STYLEFLOW}

    def fit(self, data: FitData) -> None:
        """As the inner method: a mask is for edits alone."""
        self.inner.fit(data)

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """Edited codes (N, L, 512)."""
        return self.edit_faces(Faces(ws, values), strengths)

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """One edit of the inner method for each set of attributes that share layers."""
        import torch

        edited = faces.ws.clone()
        masks = layer_masks(edited.shape[1]).to(strengths.device)
        active = masks & strengths.any(dim=0)[:, None]
        for kept in torch.unique(active, dim=1).T:
            own = strengths * kept
            rows = own.any(dim=1).nonzero()[:, 0]
            if len(rows):
                layers = (active == kept[:, None]).all(dim=0).nonzero()[:, 0].to(edited.device)
                rows = rows.to(edited.device)
                moved = self.inner.edit_faces(faces[rows], own[rows])
                edited[rows[:, None], layers] = moved[:, layers]
        return edited

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
