"""What the judges' own runtimes compute, stored, and the files on which they did: benchmarks/parity/judges.py."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.builders import tfjs_files

OUTPUTS = Path(__file__).parents[1] / "pipeline" / "networks" / "judge_outputs.npz"


def outputs(name: str) -> Tensor:
    """The stored outputs of a network on `pictures`, one row a picture."""
    with np.load(OUTPUTS) as stored:
        return torch.from_numpy(stored[name])


def pictures(size: int, channels: int = 3) -> Tensor:
    """The pictures as images (2, channels, size, size) in [-1, 1]."""
    return torch.from_numpy(tfjs_files.pictures(size, channels)).permute(0, 3, 1, 2).float() / 127.5 - 1


def published(stem: str) -> tuple[Path, Path] | None:
    """The JSON and .bin file of a published network in $LATENTBENCH_WEIGHTS; None where they are not at hand."""
    folder = Path(os.environ.get("LATENTBENCH_WEIGHTS", "/nowhere"))
    pair = folder / f"{stem}.json", folder / f"{stem}.bin"
    return pair if all(path.is_file() for path in pair) else None


def face_api(kind: str, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Name of the stored outputs -> files: random weights, and the published ones where they are at hand."""
    files = {f"random-{kind}": tfjs_files.write(folder, kind, tfjs_files.face_api(kind))}
    pair = published(f"face-api-{kind.replace('_', '-')}")
    return files | {kind: pair} if pair else files
