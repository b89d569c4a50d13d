"""What a method is: fit on labelled latents, then edit codes by signed strengths.

Method files import torch inside the functions that compute, so that naming, listing and planning never load it.

Fit a method on codes and labels, and move a face 2 along the direction of age:

>>> import torch
>>> from pipeline.attributes import index_of
>>> from pipeline.methods.interface import Faces, FitData
>>> from pipeline.methods.controls import RandomDirection
>>> data = FitData(
...     w=torch.zeros(8, 512), values=torch.zeros(8, 35), generator=None, scorer_a=None, recognizer_a=None,
...     seed=0, device=torch.device("cpu"),
... )
>>> method = RandomDirection()
>>> method.fit(data)
>>> faces = Faces(ws=torch.zeros(1, 10, 512), values=torch.zeros(1, 35))
>>> strengths = torch.zeros(1, 35)
>>> strengths[0, index_of("age")] = 2.0
>>> method.edit_faces(faces, strengths).norm(dim=2)[0]  # in each of the 10 layers
tensor([2., 2., 2., 2., 2., 2., 2., 2., 2., 2.])
"""

from __future__ import annotations

import inspect
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import EVALUATED, NAMES
from pipeline.errors import StageError
from pipeline.settings.experiment import FULL

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from pipeline.domains.base import DomainCard
    from pipeline.methods.bytes_taken import Cost
    from stylegan.generator import Generator
    from stylegan.mapping import MappingNetwork

Progress = Callable[[int, int, str], None]
UNEDITED_Z = "unedited_z"  # carried for a method that overrides `edit_faces` and carries nothing itself


def silent(done: int, total: int, message: str) -> None:
    """A progress callback that shows nothing."""


@dataclass
class FitData:
    """What a method may learn from. Scorer B and recognizer B only judge, and are not here.

    - w (N, 512) float32: mapped latents, truncated by `truncation_psi`.
    - values (N, 35) float32 in [0, 1]: of scorer A, columns as `attributes`; `evaluated` names the eight of the scores.
    - generator, scorer_a, recognizer_a: networks in evaluation mode, on `device`.
    - seed: of the run; take random numbers from `rng`.
    - progress(done, total, message): call it as training advances.
    - checkpoints: a folder for resuming, or None for no resuming.
    - draw_z: maps rows (M,) int64 of `w` to the z (M, 512) float32 behind them; use `z`.
    - naming_w (M, 512) float32: codes for naming directions, and for nothing else.
    - mean_distance: of two random w, the unit of displacements in the tables.
    - naming_precision: "bfloat16" where directions are named through networks in bfloat16; "full" leaves the networks
      as they are.
    """

    w: Tensor
    values: Tensor
    generator: Generator
    scorer_a: nn.Module
    recognizer_a: nn.Module
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
    naming_precision: str = FULL

    def z(self, rows: np.ndarray) -> np.ndarray:
        """The z (M, 512) float32 behind `w[rows]`, drawn again at every call: ask for a few at a time.

        Raises StageError where the codes were not mapped from z.
        """
        if self.draw_z is None:
            raise StageError("These codes come without the z that they were mapped from: methods of space Z need it.")
        return self.draw_z(rows)

    def rng(self, purpose: int = 0) -> torch.Generator:
        """A new random generator on the CPU that depends on the seed and the purpose only."""
        import torch

        return torch.Generator().manual_seed((self.seed * 1_000_003 + purpose) % 2**63)


@dataclass(frozen=True)
class Faces:
    """N faces to edit, on one device: their codes, and what is known about them.

    - ws (N, L, 512): a code for each of the generator's L layers.
    - values (N, 35) in [0, 1]: of scorer A for the images of these codes, or the values that the last edit asked for,
      if its method carries values.
    - z (N, 512): the codes were mapped from it by `mapping` and truncated by `truncation_psi`; None if unknown.
    - carried: what a method keeps for its next edit of the faces, by name: floating tensors (N, ...).

    Values, z and carried state of a single face are NaN where they are unknown.

    >>> import torch
    >>> faces = Faces(ws=torch.zeros(2, 1, 512), values=torch.full((2, 35), 0.5))
    >>> moved = faces.moved(torch.tensor([0.0, 1.0])[:, None, None].expand(2, 1, 512))
    >>> moved.values[:, 0]  # the second face has another code, so its values are unknown
    tensor([0.5000,    nan])
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
        """The faces at codes ws (N, L, 512). Of a face whose code changed, nothing else is known any more."""
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
    """Base class of every editing method.

    The constructor is keyword-only and only stores its arguments; `fit` learns into attributes that end in `_`. Facts
    of a class:

    - name; version, raised whenever results change; paper.
    - unit: what a strength of 1 means.
    - supervision: "labels" or "none".
    - space: where the edit acts, "W", "W+" or "Z".
    - exact_identity: whether an edit of zero returns the very same code.
    - exact_undo: whether edits of one attribute each, undone in reverse order, end at the first code, up to rounding.
    - carries: what an edit passes to the next one: "z", "values", or names in `Faces.carried`.
    - value_bounded: whether a strength is a difference of attribute values.
    - control: whether it is a control and not a competitor.
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
        """The hyper-parameters, JSON-compatible: the constructor's arguments, read from attributes of the same names.

        >>> from pipeline.methods.rfm import RFM
        >>> RFM(layers=4).parameters()
        {'samples': 12000, 'c': 1.0, 'iterations': 500, 'clip': 0.0, 'layers': 4, 'attributes': 'evaluated'}
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def cost(self, card: DomainCard) -> Cost | None:
        """What the method takes on a domain, in bytes, with these hyper-parameters; loads no torch.

        None, the default, where it is not known: `latentbench plan` then says so, and counts nothing for the training.
        """
        return None

    def amount(self, latents: int, codes: int) -> tuple[int, str]:
        """How much work a training is, and its unit of count; `plan` multiplies it by measured seconds.

        latents: the training latents; codes: the codes for naming directions. By default the steps, or for a method
        without steps the latents. A method whose steps or latents differ in work between profiles counts its images.

        >>> from pipeline.methods.interfacegan import InterFaceGAN
        >>> InterFaceGAN().amount(latents=2048, codes=24)
        (2048, 'latents')
        """
        steps = self.parameters().get("steps")
        return (steps, "steps") if isinstance(steps, int) and steps > 0 else (latents, "latents")

    def check(self, card: DomainCard, attributes: Sequence[str]) -> None:
        """Raise ConfigError where the method, as it is set, cannot edit these evaluated attributes in a domain.

        Called before anything is computed, and loads no torch. By default nothing is checked.
        """
        return

    def editable(self) -> tuple[str, ...]:
        """The attributes, of NAMES, whose strengths an edit may have once the method is fitted: by default all."""
        return NAMES

    @abstractmethod
    def fit(self, data: FitData) -> None:
        """Learn from `data`. Raises TrainingDivergedError if a loss becomes NaN or rises above its start."""

    @abstractmethod
    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """Edited codes; the inputs are not modified.

        ws (N, L, 512); strengths (N, 35), signed, in the method's `unit`, columns as NAMES; values (N, 35) of the faces
        at ws, as in `Faces`. Returns (N, L, 512).
        """

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """Edited codes (N, L, 512) of N faces, as `edit`. The pipeline calls this for a single edit.

        A method that needs more of a face than codes and values, such as its z, overrides this.
        """
        return self.edit(faces.ws, strengths, faces.values)

    def prepared(self, faces: Faces) -> Faces:
        """The N faces with what every edit of them needs alike, in `Faces.carried`: by default nothing.

        The pipeline calls this once for faces that it edits many times. Edits are the same without it, up to rounding.
        """
        return faces

    def after(self, faces: Faces, strengths: Tensor, ws: Tensor) -> Faces:
        """The N faces after an edit that moved them to ws (N, L, 512), with what the next edit needs.

        By default only the codes are known. A method whose next edit needs more overrides this, and declares it in
        `carries`. An edit of zero must keep what was known.
        """
        return faces.moved(ws)

    def region_maps(self, generator: Generator, ws: Tensor) -> Tensor | None:
        """The regions that the method edits apart, on faces at codes ws (N, L, 512): label maps (N, h, w) int64.

        None, the default, for a method that edits whole images. The report paints them over unedited faces.
        """
        return None

    def edited(self, faces: Faces, strengths: Tensor) -> Faces:
        """The faces after an edit by strengths (N, 35), ready for the next. The pipeline calls this for edits in a row.

        Values that `after` does not know are NaN until the caller reads them from the new images. A method that
        overrides `edit_faces` and not `after` gets the z of the unedited faces at every edit in a row.
        """
        kind = type(self)
        unedited = faces.carried.get(UNEDITED_Z, faces.z)
        if unedited is None or kind.edit_faces is Method.edit_faces or kind.after is not Method.after:
            return self.after(faces, strengths, self.edit_faces(faces, strengths))
        after = self.after(faces, strengths, self.edit_faces(replace(faces, z=unedited), strengths))
        return replace(after, carried={**after.carried, UNEDITED_Z: unedited})

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """The learned tensors, by name."""

    @abstractmethod
    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore what `state` and `facts` returned."""

    def facts(self) -> dict[str, Any]:
        """Learned facts that are not tensors (accuracies, losses, counts), JSON-compatible."""
        return {}

    def to(self, device: torch.device) -> None:
        """Move the learned tensors to a device."""
        self.restore({key: value.to(device) for key, value in self.state().items()}, self.facts())

    def save(self, folder: Path) -> None:
        """Write `method.safetensors` and `method.json` into an existing folder."""
        from safetensors.torch import save

        tensors = {key: value.detach().cpu().contiguous() for key, value in self.state().items()}
        (folder / "method.safetensors").write_bytes(
            save(tensors)
        )  # save_file writes files that only the owner may read
        card = {
            "name": self.name,
            "version": self.version,
            "parameters": self.parameters(),
            "facts": self.facts(),
        }
        (folder / "method.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Method:
        """The method that `save` wrote. Raises StageError if the folder holds another method or version."""
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
