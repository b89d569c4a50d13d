"""What a method is: fit on labelled latents, then edit codes by signed strengths.

Method files import torch inside the functions that compute, so that naming, listing and planning never pay for it.
"""

from __future__ import annotations

import inspect
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import EVALUATED, NAMES
from pipeline.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from pipeline.networks.aligned import AlignedRecognizer
    from pipeline.networks.recognizer import Recognizer
    from pipeline.networks.resized import ResizedScorer
    from pipeline.networks.scorer import Scorer
    from stylegan.generator import Generator
    from stylegan.mapping import MappingNetwork

Progress = Callable[[int, int, str], None]
UNEDITED_Z = "unedited_z"  # carried for a method that overrides `edit_faces` and carries nothing itself


def silent(done: int, total: int, message: str) -> None:
    """A progress callback that shows nothing."""


@dataclass
class FitData:
    """What every method may learn from, and nothing else: the judges (B) are not here.

    w: (N, 512) float32 mapped latents; values: (N, 35) float32 in [0, 1], scorer A's, columns as `attributes`.
    naming_w: (M, 512) float32, the codes on which directions are named, and for nothing else; `mean_distance`: the mean
    distance of two random w, the unit in which tables give displacements.
    `progress(done, total, message)` is called as training advances; `checkpoints` is a folder for resuming,
    None where resuming is not wanted. `truncation_psi` is what w was truncated by. `draw_z` maps places (M,) int64 in
    `w` to the z (M, 512) float32 that these codes were mapped from; it draws them anew, so ask for few at a time.
    """

    w: Tensor
    values: Tensor
    generator: Generator
    scorer_a: Scorer | ResizedScorer
    recognizer_a: Recognizer | AlignedRecognizer
    seed: int
    device: torch.device
    attributes: tuple[str, ...] = NAMES
    evaluated: tuple[str, ...] = tuple(EVALUATED)
    progress: Progress = silent
    checkpoints: Path | None = None
    truncation_psi: float = 1.0
    draw_z: Callable[[np.ndarray], np.ndarray] | None = None
    naming_w: Tensor | None = None
    mean_distance: float | None = None

    def z(self, places: np.ndarray) -> np.ndarray:
        """The z (M, 512) float32 behind `w[places]`. Raises StageError where the codes were not mapped from z."""
        if self.draw_z is None:
            raise StageError("These codes come without the z that they were mapped from: methods of space Z need it.")
        return self.draw_z(places)

    def rng(self, purpose: int = 0) -> torch.Generator:
        """A fresh generator on the CPU, keyed by the seed and the purpose."""
        import torch

        return torch.Generator().manual_seed((self.seed * 1_000_003 + purpose) % 2**63)


@dataclass(frozen=True)
class Faces:
    """Faces to edit, on one device: codes ws (N, L, 512), and what is known of them.

    values (N, 35): scorer A's of the images of these codes, or those that the last edit asked for, if its method
    carries them. z (N, 512), where the codes were mapped from it by `mapping` and truncated by `truncation_psi`; both
    None where nobody knows. `carried`: what the method that edited the faces keeps for its next edit of them, floating
    tensors (N, ...) under names of its own. Where nobody knows the values, z or carried state of a single face, they
    are NaN.
    """

    ws: Tensor
    values: Tensor
    z: Tensor | None = None
    mapping: MappingNetwork | None = None
    truncation_psi: float = 1.0
    carried: Mapping[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, rows: Any) -> Faces:
        z = None if self.z is None else self.z[rows]
        carried = {name: tensor[rows] for name, tensor in self.carried.items()}
        return Faces(self.ws[rows], self.values[rows], z, self.mapping, self.truncation_psi, carried)

    def moved(self, ws: Tensor) -> Faces:
        """The faces at codes ws (N, L, 512): nothing but the code is known of a face whose code is another one now."""
        elsewhere = (ws != self.ws).flatten(1).any(dim=1)

        def known(tensor: Tensor) -> Tensor:
            return tensor.masked_fill(elsewhere.reshape(-1, *[1] * (tensor.ndim - 1)), math.nan)

        carried = {name: known(tensor) for name, tensor in self.carried.items()}
        z = None if self.z is None else known(self.z)
        return replace(self, ws=ws, values=known(self.values), z=z, carried=carried)


@dataclass(frozen=True)
class Paper:
    """Where a method was published."""

    title: str
    venue: str
    url: str = ""


class Method(ABC):
    """Base of every editing method.

    The constructor is keyword-only and only stores; `fit` learns into attributes that end in `_`. Class
    facts: `name`; `version`, raised whenever results change; `paper`; `unit`, what a strength of 1 means;
    `supervision`, "labels" or "none"; `space`, where the edit acts; `exact_identity`, whether an edit of
    zero returns the very same code; `exact_undo`, whether edits of one attribute each, undone the last one first,
    leave the code they began with, up to rounding; `carries`, what an edit hands on to the next one: "z", "values", or
    names in `Faces.carried`; `value_bounded`, whether a strength is a difference of attribute values; `control`,
    whether it is a control and not a competitor.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    paper: ClassVar[Paper]
    unit: ClassVar[str]
    supervision: ClassVar[str]
    space: ClassVar[str] = "W"
    exact_identity: ClassVar[bool] = True
    exact_undo: ClassVar[bool] = False
    carries: ClassVar[tuple[str, ...]] = ()
    value_bounded: ClassVar[bool] = False
    control: ClassVar[bool] = False

    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters as the constructor takes them, JSON-compatible: its arguments, which it stored."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @abstractmethod
    def fit(self, data: FitData) -> None:
        """Learn from `data`. Raises TrainingDivergedError when a loss becomes NaN or rises over its start."""

    @abstractmethod
    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """Edited codes; the inputs are not modified.

        ws: (N, L, 512). strengths: (N, 35) signed, in the method's own unit, columns as NAMES. values: (N, 35)
        of the faces at ws, as `Faces` has them. Returns (N, L, 512).
        """

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """Edited codes (N, L, 512) of N faces, as `edit`: what the pipeline calls for a single edit.

        A method whose edit needs more of a face than its codes and values, such as its z, overrides this.
        """
        return self.edit(faces.ws, strengths, faces.values)

    def after(self, faces: Faces, strengths: Tensor, ws: Tensor) -> Faces:
        """What is known of N faces that this edit moved to ws (N, L, 512): the codes, and what the next edit needs.

        By default the codes alone. A method whose next edit needs more overrides this, and declares what it `carries`.
        An edit of zero must keep what was known.
        """
        return faces.moved(ws)

    def edited(self, faces: Faces, strengths: Tensor) -> Faces:
        """The faces after an edit of strengths (N, 35), ready for the next one: what the pipeline calls for a chain.

        Values that `after` does not know are NaN until the caller reads them off the new images. A method that
        overrides `edit_faces` and not `after` is shown the z of the unedited faces in every edit of a chain.
        """
        kind = type(self)
        unedited = faces.carried.get(UNEDITED_Z, faces.z)
        if unedited is None or kind.edit_faces is Method.edit_faces or kind.after is not Method.after:
            return self.after(faces, strengths, self.edit_faces(faces, strengths))
        after = self.after(faces, strengths, self.edit_faces(replace(faces, z=unedited), strengths))
        return replace(after, carried={**after.carried, UNEDITED_Z: unedited})

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What was learned, as tensors."""

    @abstractmethod
    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back what `state` and `facts` returned."""

    def facts(self) -> dict[str, Any]:
        """What was learned and is not a tensor (accuracies, losses, counts): JSON-compatible."""
        return {}

    def to(self, device: torch.device) -> None:
        """Move what was learned to a device."""
        self.restore({key: value.to(device) for key, value in self.state().items()}, self.facts())

    def save(self, folder: Path) -> None:
        """Write `method.safetensors` and `method.json` into an existing folder."""
        from safetensors.torch import save

        tensors = {key: value.detach().cpu().contiguous() for key, value in self.state().items()}
        (folder / "method.safetensors").write_bytes(save(tensors))  # save_file's own keeps others from reading
        card = {
            "name": self.name,
            "version": self.version,
            "parameters": self.parameters(),
            "facts": self.facts(),
        }
        (folder / "method.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Method:
        """The method that `save` wrote. Raises LatentbenchError if the folder holds another one."""
        from safetensors.torch import load_file

        card = json.loads((folder / "method.json").read_text())
        if (card["name"], card["version"]) != (cls.name, cls.version):
            raise StageError(
                f"{folder} holds {card['name']} version {card['version']}, expected {cls.name} version "
                f"{cls.version}. Train it again: latentbench invalidate --from train"
            )
        method = cls(**card["parameters"])
        method.restore(load_file(folder / "method.safetensors"), card["facts"])
        return method
