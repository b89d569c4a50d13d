"""What a method is: fit on labelled latents, then edit codes by signed strengths.

Method files import torch inside the functions that compute, so that naming, listing and planning never pay for it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
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
    """Faces to edit, on one device: codes ws (N, L, 512) and scorer A's values (N, 35) of the unedited images.

    z (N, 512), where the codes were mapped from it by `mapping` and truncated by `truncation_psi`; both None where
    nobody knows.
    """

    ws: Tensor
    values: Tensor
    z: Tensor | None = None
    mapping: MappingNetwork | None = None
    truncation_psi: float = 1.0

    def __getitem__(self, rows: Any) -> Faces:
        z = None if self.z is None else self.z[rows]
        return Faces(self.ws[rows], self.values[rows], z, self.mapping, self.truncation_psi)


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
    zero returns the very same code; `value_bounded`, whether a
    strength is a difference of attribute values; `control`, whether it is a control and not a competitor.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    paper: ClassVar[Paper]
    unit: ClassVar[str]
    supervision: ClassVar[str]
    space: ClassVar[str] = "W"
    exact_identity: ClassVar[bool] = True
    value_bounded: ClassVar[bool] = False
    control: ClassVar[bool] = False

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters as the constructor takes them, JSON-compatible."""

    @abstractmethod
    def fit(self, data: FitData) -> None:
        """Learn from `data`. Raises TrainingDivergedError when a loss becomes NaN or rises over its start."""

    @abstractmethod
    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """Edited codes; the inputs are not modified.

        ws: (N, L, 512). strengths: (N, 35) signed, in the method's own unit, columns as NAMES. values: (N, 35)
        scorer A's labels of the unedited faces. Returns (N, L, 512).
        """

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """Edited codes (N, L, 512) of N faces, as `edit`: what the pipeline calls.

        A method whose edit needs more of a face than its codes, such as its z, overrides this.
        """
        return self.edit(faces.ws, strengths, faces.values)

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
        from safetensors.torch import save_file

        tensors = {key: value.detach().cpu().contiguous() for key, value in self.state().items()}
        save_file(tensors, folder / "method.safetensors")
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
