"""Small graphs with the inputs and outputs of @vladmandic/human's networks, and random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.builders import tfjs_files
from tests.builders.tfjs_files import node, text, texts, window

Files = tuple[Path, Path]
ONE = {"strides": window(1, 1), "padding": text("VALID")}


def floats(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, None]:
    return rng.normal(0, 0.3, shape).astype("<f4"), None


def graph(
    folder: Path, name: str, size: int, channels: int, width: int, nodes: list[dict[str, Any]], **more: Any
) -> Files:
    """A 1x1 convolution to `width` channels and a mean over positions, named `mean`, before the given nodes."""
    rng = np.random.default_rng(width)
    tensors = {"kernel": floats(rng, 1, 1, channels, width), "axes": (np.array([1, 2], "<i4"), None), **more}
    shape = {"dim": [{"size": str(number)} for number in (-1, size, size, channels)]}
    front = [{"name": name, "op": "Const"} for name in tensors] + [node("image", "Placeholder", shape={"shape": shape})]
    front += [node("conv", "Conv2D", "image", "kernel", **ONE), node("mean", "Mean", "conv", "axes")]
    return tfjs_files.write(folder, name, tensors, front + nodes)


def description(folder: Path) -> Files:
    rng = np.random.default_rng(1)
    # Pixels reach 255: small factors keep the classes apart from 0 and 1.
    tail = {"km": floats(rng, 1024, 1), "bm": floats(rng, 1), "ka": floats(rng, 1024, 100), "ba": floats(rng, 100)}
    tail = {name: (value * np.float32(1e-3), None) for name, (value, _) in tail.items()}
    nodes = [
        node("global_pooling/Mean", "Identity", "mean"),
        node("m", "_FusedMatMul", "mean", "km", "bm", fused_ops=texts("BiasAdd")),
        node("gender_pred/Sigmoid", "Sigmoid", "m"),
        node("a", "_FusedMatMul", "mean", "ka", "ba", fused_ops=texts("BiasAdd")),
        node("age_pred/Softmax", "Softmax", "a"),
    ]
    return graph(folder, "faceres", 4, 3, 1024, nodes, **tail)
