"""Inputs and outputs of TensorFlow.js for the tests of photoface's judges; see tfjs_outputs.cjs.

python -m benchmarks.parity.tfjs inputs DIR
python -m benchmarks.parity.tfjs store DIR
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from tests.builders import tfjs_files

STORED = Path(__file__).parents[2] / "tests" / "pipeline" / "networks" / "tfjs_outputs.npz"
SIZES = {9: 3, 64: 1, 112: 3, 150: 3, 192: 3, 224: 3}  # side in pixels -> channels
KINDS = ("age_gender", "face_expression", "face_landmark_68", "face_recognition")


def write_inputs(folder: Path) -> None:
    """Pictures, and networks with random weights under the names that face-api expects."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, channels in SIZES.items():
        tfjs_files.pictures(size, channels).astype("<f4").tofile(folder / f"pictures-{size}.f32")
    for kind in KINDS:
        path, _ = tfjs_files.write(folder, f"{kind}_model", tfjs_files.face_api(kind))
        path.rename(folder / f"{kind}_model-weights_manifest.json")
    nodes, tensors = tfjs_files.graph()
    tfjs_files.write(folder, "graph", tensors, nodes)


def store(folder: Path) -> None:
    """The outputs of the script as float32 arrays, one row a picture."""
    outputs = json.loads((folder / "outputs.json").read_text())
    np.savez_compressed(STORED, **{name: np.array(rows, np.float32) for name, rows in outputs.items()})


if __name__ == "__main__":
    {"inputs": write_inputs, "store": store}[sys.argv[1]](Path(sys.argv[2]))
