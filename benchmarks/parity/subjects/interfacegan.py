"""InterFaceGAN: `train_boundary`, `project_boundary`, and edits of z one after another and undone."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.embedded import codes_z, domain, labelled
from benchmarks.parity.loading import theirs
from benchmarks.parity.measures import largest, relative

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.methods.interface import Faces

NAMES = ("gender", "glasses", "yaw", "pitch", "baldness", "beard", "age", "expression")
CODES, CHOSEN = 2_000, 0.1
DRAWS = 50  # sets of random boundaries that are projected
FACES, PSI = 4, 0.7
STEPS = ((6, 3.0), (2, -4.0))  # places in NAMES and distances along their boundaries, one after another


@dataclass
class Asked:
    """Codes by place, as InterFaceGAN asks for them, and which places it asked for."""

    codes: Any
    places: list[Any] = field(default_factory=list)

    def __call__(self, places: Any) -> Any:
        self.places.append(places)
        return self.codes(places)


def manipulator() -> Any:
    """Their module, for which np.int is what it was."""
    import numpy as np

    np.int = int  # type: ignore[attr-defined]
    return theirs("utils.manipulator")


def quiet() -> logging.Logger:
    """A logger for their functions that shows nothing; without one they write on the screen."""
    logger = logging.getLogger("parity.interfacegan")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


@lru_cache(maxsize=2)
def normals(space: str) -> tuple[Any, Any]:
    """Our normals of the eight evaluated attributes, then theirs, of the very same training rows: (8, 512) each."""
    import numpy as np

    from pipeline.attributes import EVALUATED, index_of

    values = labelled(CODES).values.numpy()
    own, known = [], []
    for name in NAMES:
        normal, rows, codes = trained(EVALUATED[name], space)
        scores = values[rows, index_of(name)][:, None]
        # Of the rows alone, all of which train: theirs would draw others.
        boundary = manipulator().train_boundary(codes, scores, 0.5, split_ratio=1.0, logger=quiet())
        own.append(normal)
        known.append(boundary[0])
    return np.stack(own), np.stack(known)


def trained(column: str, space: str) -> tuple[Any, Any, Any]:
    """Our normal of one attribute, the places that it was trained on, and their codes."""

    from pipeline.attributes import index_of
    from pipeline.methods.interfacegan import InterFaceGAN
    from pipeline.methods.interfacegan_z import InterFaceGANZ

    base: Any = InterFaceGANZ if space == "Z" else InterFaceGAN

    class Listening(base):
        def _codes(self, data: Any) -> Any:
            self.asked = Asked(super()._codes(data))
            return self.asked

    data = labelled(CODES)
    method = Listening(chosen=CHOSEN)
    one = replace(data, attributes=(column,), evaluated=(), values=data.values[:, [index_of(column)]])
    method.fit(one)
    rows = next(places for places in method.asked.places if len(places) > 1)  # what trained both sides
    return method.directions_[0].numpy(), rows, method.asked.codes(rows)


def boundaries(space: str) -> Measured:
    """1 less the smallest cosine of the eight attributes' normals."""
    own, known = normals(space)
    found = (own * known).sum(axis=1)
    smallest, greatest = float(found.min()), float(found.max())
    return Measured(1 - smallest, ours=f"cosines {smallest:.4f} to {greatest:.4f}")


def projected() -> Measured:
    """Boundaries less their parts along 1, 2, 3 and 5 others."""
    import numpy as np

    from pipeline.methods.interfacegan import project_out

    rng = np.random.default_rng(12)
    worst = 0.0
    for count in (1, 2, 3, 5):
        for _ in range(DRAWS):
            drawn = rng.normal(size=(count + 1, 512))
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
            expected = manipulator().project_boundary(drawn[:1], *(row[None] for row in drawn[1:]))[0]
            worst = max(worst, largest(project_out(drawn[0], drawn[1:]), expected))
    return Measured(worst)


def scene() -> tuple[Any, Faces, Any]:
    """Our method in Z with random unit boundaries, faces, and those boundaries (8, 512) as arrays."""
    import numpy as np
    import torch

    from pipeline import attributes
    from pipeline.attributes import EVALUATED, index_of
    from pipeline.methods.interface import Faces
    from pipeline.methods.interfacegan_z import InterFaceGANZ

    drawn = np.random.default_rng(13).normal(size=(len(NAMES), 512)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    method, directions = InterFaceGANZ(), torch.zeros(len(attributes.NAMES), 512)
    directions[[index_of(EVALUATED[name]) for name in NAMES]] = torch.from_numpy(drawn)
    method.restore({"directions": directions}, {})
    mapping, z = domain().generator.mapping, torch.from_numpy(codes_z(FACES))
    with torch.no_grad():
        ws = mapping(z, truncation_psi=PSI)
    return method, Faces(ws, torch.zeros(FACES, len(attributes.NAMES)), z, mapping, PSI), drawn


def walked(faces: Faces, boundaries: Any, steps: tuple[tuple[int, float], ...]) -> Tensor:
    """Codes ws of their edited z: `preprocess` once, `linear_interpolate` by each step, then the mapping network."""
    import numpy as np
    import torch

    generator = SimpleNamespace(latent_space_dim=512)
    codes = theirs("models.stylegan_generator").StyleGANGenerator.preprocess(generator, faces.z.numpy(), "Z")
    for place, distance in steps:
        normal = boundaries[place][None]
        ends = [float((code @ normal.T)[0]) + distance for code in codes]  # they count from the boundary
        moved = [
            manipulator().linear_interpolate(code[None], normal, end, end, 1)
            for code, end in zip(codes, ends, strict=True)
        ]
        codes = np.concatenate(moved).astype(np.float32)
    with torch.no_grad():
        ws: Tensor = faces.mapping(torch.from_numpy(codes), truncation_psi=PSI)
    return ws


def chained(steps: tuple[tuple[int, float], ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Codes after the steps by our method and by theirs, and those before."""
    import torch

    from pipeline.attributes import EVALUATED, index_of

    method, start, boundaries = scene()
    faces = start
    for place, distance in steps:
        strengths = torch.zeros_like(start.values)
        strengths[:, index_of(EVALUATED[NAMES[place]])] = distance
        faces = method.edited(faces, strengths)
    return faces.ws, walked(start, boundaries, steps), start.ws


def chain() -> Measured:
    """The change of the codes after two edits."""
    own, known, start = chained(STEPS)
    return Measured(relative(own - start, known - start))


def undo() -> Measured:
    """How far two edits that are undone end from where they began, over how far the edits went."""
    way = float((chained(STEPS)[0] - chained(())[0]).abs().max())
    own, known, start = chained(STEPS + tuple((place, -distance) for place, distance in reversed(STEPS)))
    found, expected = (float((ws - start).abs().max()) / way for ws in (own, known))
    return Measured(max(found, expected), f"{found:.1e}", f"{expected:.1e}")


SUBJECT = Subject(
    checkout=Checkout("interfacegan", "genforce/interfacegan", "8da3fc0"),
    comparisons=(
        Comparison("project_boundary", "project_boundary with 1, 2, 3, 5 conditions", "4 x 50", projected, 1e-7),
        Comparison(
            "train_boundary",
            f"train_boundary in W on the same training rows (N = {CODES:,}, chosen {CHOSEN})",
            "8 attributes",
            lambda: boundaries("W"),
            1e-4,
            "1 - cosine",
        ),
        Comparison(
            "train_boundary_z",
            "the same in Z",
            "8 attributes",
            lambda: boundaries("Z"),
            1e-4,
            "1 - cosine",
        ),
        Comparison(
            "chained_edits_z",
            "two edits of z, one after another: preprocess once, linear_interpolate twice; change of w",
            f"{FACES} faces",
            chain,
            1e-4,
            "of the change",
        ),
        Comparison("undo_z", "the same and undone: distance to the start", f"{FACES} faces", undo, 1e-4, "of the way"),
    ),
    shims=("np.int is int again while their functions run",),
)
