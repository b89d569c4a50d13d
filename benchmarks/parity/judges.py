"""Inputs and stored outputs for the tests of photoface's judges, from the networks' own runtimes.

    npm install @tensorflow/tfjs@4.22.0 @vladmandic/face-api@1.7.15 @vladmandic/human@3.3.6
    pip install efficientnet-lite-pytorch==0.1.0
    python -m benchmarks.parity.judges inputs DIR                # pictures, and networks with random weights, by seed
    node benchmarks/parity/judges.cjs DIR node_modules           # DIR/outputs.json
    python -m benchmarks.parity.judges store DIR LITE0           # tests/pipeline/networks/judge_outputs.npz

LITE0 is efficientnet-lite0-57934424.pth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from tests.builders import efficientnet_file, tfjs_files

STORED = Path(__file__).parents[2] / "tests" / "pipeline" / "networks" / "judge_outputs.npz"
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


def store(folder: Path, lite0: Path) -> None:
    """The outputs of all networks as float32 arrays, one row a picture."""
    outputs = json.loads((folder / "outputs.json").read_text())
    arrays = {name: np.array(rows, np.float32) for name, rows in outputs.items()}
    np.savez_compressed(STORED, **arrays, **efficientnet(lite0))  # type: ignore[arg-type]


def efficientnet(lite0: Path) -> dict[str, np.ndarray]:
    """Features and logits, (2, 2280), of EfficientNet-Lite0 by its published code: random and published weights."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    pixels = torch.from_numpy(tfjs_files.pictures(224)).permute(0, 3, 1, 2).float()
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    found = {}
    states = {"random-efficientnet": efficientnet_file.state()}
    states["efficientnet"] = torch.load(lite0, weights_only=True)
    for name, state in states.items():
        network.load_state_dict(state)
        with torch.no_grad():
            seen = (pixels - 127) / 128
            features = network.extract_features(seen).mean(dim=(2, 3))
            found[name] = torch.cat([features, network(seen)], dim=1).numpy()
    return found


if __name__ == "__main__":
    command, *paths = sys.argv[1:]
    {"inputs": write_inputs, "store": store}[command](*map(Path, paths))
