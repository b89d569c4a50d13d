"""Directions of a trained method as files that other programs read, and that a run takes as `file:NAME=FOLDER`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.attributes import NAMES, index_of
from pipeline.chain.inputs import load_method
from pipeline.chain.links import Chain
from pipeline.chain.work import Work
from pipeline.errors import StageError
from pipeline.methods.cost import layers_of
from pipeline.storage.files import write_whole
from pipeline.storage.stages import Stage, is_complete
from pipeline.tables.fields import W_DIM

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.methods.interface import Method

FACES = 4  # whose edits must be alike
NOISE = 1e-4  # by which they may differ, as a share of the longest vector


def write_directions(chain: Chain, method: str, folder: Path) -> list[Path]:
    """Write the direction of every attribute of a run as ATTRIBUTE.npy (512) or (layers, 512), float32.

    A strength of 1 is the method's unit. Raises StageError for a method that is not trained, and for one whose edits
    differ between faces: it has no direction.
    """
    train = chain.stage("train", method)
    if not is_complete(train, chain.settings.outputs):
        raise StageError(f"{method} is not trained with these settings in {chain.settings.outputs}: run it first.")
    work = Work(chain.settings, Stage("directions", 1, upstream=(train,)), chain.card, (method,))
    trained, layers = load_method(work), layers_of(chain.card)
    attributes = [name for name in chain.settings.experiment.attributes if NAMES[index_of(name)] in trained.editable()]
    vectors = {name: direction_of(trained, name, layers) for name in attributes}
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder, name, vector) for name, vector in vectors.items()]


def direction_of(method: Method, attribute: str, layers: int) -> Tensor:
    """By how much a strength of 1 moves any code: (layers, 512), or (512,) where all layers move alike.

    Tried on random codes, up and down, at two strengths. Raises StageError where the move depends on the code or is not
    proportional to the strength.
    """
    import torch

    from pipeline.methods.interface import Faces

    ws = torch.randn(FACES, layers, W_DIM, generator=torch.Generator().manual_seed(0))
    faces = Faces(ws, values=torch.full((FACES, len(NAMES)), 0.5))
    strengths = torch.zeros(FACES, len(NAMES))
    strengths[:, index_of(attribute)] = torch.tensor([1.0, -1.0, 2.0, -2.0])
    try:
        moves = (method.edit_faces(faces, strengths) - ws).double()
    except (AttributeError, StageError) as error:  # of a method that edits z, which these codes have not
        raise StageError(_NO_DIRECTION.format(method.name, attribute)) from error
    moves /= strengths[:, index_of(attribute)].double()[:, None, None]
    mean = moves.mean(dim=0)
    if not mean.any() or float((moves - mean).abs().max()) > NOISE * float(mean.norm(dim=1).max()):
        raise StageError(_NO_DIRECTION.format(method.name, attribute))
    alike = float((mean - mean[0]).abs().max()) <= NOISE * float(mean[0].norm())
    return (mean.mean(dim=0) if alike else mean).float()


_NO_DIRECTION = (
    "{} has no direction of {} in W: its edits differ between faces, or are not proportional to the strength. Methods "
    "with directions are those such as interfacegan, rfm, sefa and ganspace."
)


def _write(folder: Path, attribute: str, vector: Tensor) -> Path:
    import numpy as np

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, vector.numpy(), allow_pickle=False)

    return write_whole(folder, f"{attribute}.npy", write)[0]
