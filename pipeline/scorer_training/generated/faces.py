"""The faces that scorers learn from: ids of their own, and a folder of their pictures at 256 px.

Face k of a role has the latent id FIRST_ID + k, so that A and B share no face with each other or with a run. Its
truncation is 0.7 for even k and 1 for odd k. A picture is rendered once: the folder is a cache, and goes on where it
was.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import LabelsError, StageError
from pipeline.progress import Display
from pipeline.storage.files import read_json, replacing, write_json

if TYPE_CHECKING:
    from stylegan.mobile.generator import MobileGenerator

SEED = 2022
FIRST_ID = {"a": 5_000_000_000, "b": 6_000_000_000}
FURTHER = 40_000  # the first k of faces that no one looked at
EVEN_PSI, ODD_PSI = 0.7, 1.0
SIDE = 256  # pixels; as pipeline.networks.lite_scorer, which imports torch
RECORD = "faces.json"


def picture_path(folder: Path, role: str, k: int) -> Path:
    """The file of a face's pixels (256, 256, 3) uint8."""
    return folder / f"{role.upper()}{k:06d}.npy"


def render(generator: MobileGenerator, sha256: str, role: str, ks: np.ndarray, folder: Path) -> None:
    """Render the faces k that `folder` lacks. `sha256` is the generator's: pictures of another one are refused.

    Raises LabelsError if the folder holds pictures of another generator.
    """
    _check_record(folder, sha256)
    missing = [int(k) for k in ks if not picture_path(folder, role, int(k)).exists()]
    with Display("rendering faces", len(ks), "faces", before=len(ks) - len(missing)) as display:
        for done, k in enumerate(missing, start=1):
            with replacing(picture_path(folder, role, k)) as temporary, temporary.open("wb") as file:
                np.save(file, picture(generator, role, k))
            display.update(len(ks) - len(missing) + done)


def picture(generator: MobileGenerator, role: str, k: int) -> np.ndarray:
    """Pixels (256, 256, 3) uint8 of one face: the generator's image, averaged down."""
    import torch
    from torch.nn import functional

    from pipeline.images import to_uint8
    from stylegan.sampling import draw_z

    with torch.inference_mode():
        z = torch.from_numpy(draw_z(SEED, np.array([FIRST_ID[role] + k])))
        image = generator.synthesis(generator.mapping(z, truncation_psi=ODD_PSI if k % 2 else EVEN_PSI))
        small = functional.avg_pool2d(image, image.shape[-1] // SIDE)
        return np.asarray(to_uint8(small)[0].numpy())


def batches(folder: Path, role: str, ks: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Pixels (n, 256, 256, 3) uint8 of rendered faces, `size` at a time. Raises LabelsError for a damaged file."""
    for start in range(0, len(ks), size):
        yield np.stack([_read(picture_path(folder, role, int(k))) for k in ks[start : start + size]])


def _read(path: Path) -> np.ndarray:
    try:
        pixels = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise LabelsError(f"{path} cannot be read: {error}. Remove it, and it is rendered again.") from error
    if pixels.shape != (SIDE, SIDE, 3) or pixels.dtype != np.uint8:
        raise LabelsError(
            f"{path}: expected ({SIDE}, {SIDE}, 3) uint8, found {pixels.shape} {pixels.dtype}. Remove it, and it is "
            "rendered again."
        )
    return np.asarray(pixels)


def _check_record(folder: Path, sha256: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    expected = {"generator": sha256, "seed": SEED, "psi": [EVEN_PSI, ODD_PSI], "side": SIDE}
    path = folder / RECORD
    if not path.exists():
        write_json(folder, RECORD, expected)
        return
    try:
        found = read_json(path)
    except (ValueError, StageError) as error:
        raise LabelsError(f"{path} cannot be read: {error}. Choose another --folder.") from error
    if found != expected:
        raise LabelsError(
            f"{folder} holds faces of another generator or sampling: expected {expected}, found {found}. Choose "
            "another --folder."
        )
