"""What OpenVINO makes of eight codes with the published MobileStyleGAN, in float32, and a summary that is stored.

python -m tests.builders.mobile_images FOLDER      # with openvino installed: writes mobile_images.npz
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stylegan.sampling import draw_z

FILE = Path(__file__).with_name("mobile_images.npz")
SEED, CODES = 17, 8
ROW, COLUMNS = 512, slice(480, 544)  # of the stored pixels, in the middle of each face
SIDE = 16
"""Pixels of the side of each stored average."""


def codes() -> Tensor:
    """Eight z (8, 512)."""
    return torch.from_numpy(draw_z(SEED, np.arange(CODES)))


def summary(images: Tensor) -> dict[str, Any]:
    """Averages of squares, and some pixels, of images (N, 3, 1024, 1024)."""
    return {
        "averages": functional.adaptive_avg_pool2d(images, SIDE).numpy(),
        "pixels": images[:, :, ROW, COLUMNS].numpy(),
    }


def openvino_networks(mapping: Path, synthesis: Path) -> Iterator[Callable[[Tensor], Tensor]]:
    """The two networks as OpenVINO computes them in float32, for one code at a time."""
    core = importlib.import_module("openvino").Core()
    for path in (mapping, synthesis):
        network = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        yield lambda x, network=network: torch.from_numpy(network(x.numpy())[0].copy())  # type: ignore[misc]


def main(folder: str) -> None:
    """Write the summary of OpenVINO's images."""
    names = ("photoface-mapping.xml", "photoface-synthesis.xml")
    mapping, synthesis = openvino_networks(*(Path(folder, name) for name in names))
    images = torch.cat([synthesis(mapping(z)) for z in codes().split(1)])
    np.savez(FILE, **summary(images))


if __name__ == "__main__":
    main(*sys.argv[1:])
