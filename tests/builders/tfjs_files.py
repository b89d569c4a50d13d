"""TensorFlow.js files with random weights: manifests of face-api's networks, and a graph with every known operation.

The same seed always gives the same bytes, so that outputs of TensorFlow.js on these files could be stored once
(benchmarks/parity/judges.py).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

Tensors = dict[str, tuple[np.ndarray, dict[str, Any] | None]]  # name -> stored numbers, and their quantisation


def pictures(size: int, channels: int = 3) -> np.ndarray:
    """Two pictures (2, size, size, channels) uint8, the same on every machine: noise, and 8 x 8 coarse blocks."""
    rng = np.random.default_rng(size)
    noise = rng.integers(0, 256, (size, size, channels), dtype=np.uint8)
    coarse = rng.integers(0, 256, (8, 8, channels), dtype=np.uint8)
    index = np.arange(size) * 8 // size
    return np.stack([noise, coarse[index][:, index]])


def manifest(tensors: Tensors, data: str) -> list[dict[str, Any]]:
    """A manifest of the tensors."""
    weights = []
    for name, (stored, quantization) in tensors.items():
        dtype = "int32" if stored.dtype == np.int32 else "float32"
        entry = {"name": name, "shape": list(stored.shape), "dtype": dtype}
        weights.append(entry if quantization is None else entry | {"quantization": quantization})
    return [{"paths": [data], "weights": weights}]


def write(folder: Path, name: str, tensors: Tensors, nodes: list[dict[str, Any]] | None = None) -> tuple[Path, Path]:
    """Write NAME.json and NAME.bin: a manifest, or with `nodes` a graph model. Returns their paths."""
    path, data = folder / f"{name}.json", folder / f"{name}.bin"
    value: Any = manifest(tensors, data.name)
    if nodes is not None:
        topology = {"node": nodes, "versions": {}, "library": {}}
        value = {"format": "graph-model", "modelTopology": topology, "weightsManifest": value}
    path.write_text(json.dumps(value))
    data.write_bytes(b"".join(stored.tobytes() for stored, _ in tensors.values()))
    return path, data


def face_api(kind: str) -> Tensors:
    """A network of face-api with random weights: age_gender, face_expression, face_landmark_68, face_recognition."""
    rng = np.random.default_rng(len(kind))
    shapes = {
        "age_gender": _xception,
        "face_expression": lambda: _dense(7),
        "face_landmark_68": lambda: _dense(136),
        "face_recognition": _resnet,
    }[kind]()
    return {name: _random(name, shape, rng) for name, shape in shapes.items()}


def _random(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, dict[str, Any] | None]:
    """uint8 over a range that keeps activations near 1; biases as float32; scales near 1."""
    if name.endswith(("bias", "biases")):
        return rng.normal(0, 0.1, shape).astype("<f4"), None
    inputs = shape[0] * shape[1] * (1 if "depthwise" in name else shape[2]) if len(shape) == 4 else shape[0]
    low, high = (0.3, 0.7) if name.endswith("scale/weights") else (-((3 / inputs) ** 0.5), (3 / inputs) ** 0.5)
    quantization = {"dtype": "uint8", "scale": (high - low) / 255, "min": low}
    return rng.integers(0, 256, shape, dtype=np.uint8), quantization


def _plain(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}/filters": (kernel, kernel, inputs, outputs), f"{name}/bias": (outputs,)}


def _separable(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}/depthwise_filter": (3, 3, inputs, 1),
        f"{name}/pointwise_filter": (1, 1, inputs, outputs),
        f"{name}/bias": (outputs,),
    }


def _reduction(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    first = _separable(f"{name}/separable_conv0", inputs, outputs) | _separable(
        f"{name}/separable_conv1", outputs, outputs
    )
    return first | _plain(f"{name}/expansion_conv", inputs, outputs, 1)


def _xception() -> dict[str, tuple[int, ...]]:
    shapes = _plain("entry_flow/conv_in", 3, 32, 3)
    shapes |= _reduction("entry_flow/reduction_block_0", 32, 64) | _reduction("entry_flow/reduction_block_1", 64, 128)
    for block in range(2):
        for index in range(3):
            shapes |= _separable(f"middle_flow/main_block_{block}/separable_conv{index}", 128, 128)
    shapes |= _reduction("exit_flow/reduction_block", 128, 256) | _separable("exit_flow/separable_conv", 256, 512)
    return shapes | {
        "fc/age/weights": (512, 1),
        "fc/age/bias": (1,),
        "fc/gender/weights": (512, 2),
        "fc/gender/bias": (2,),
    }


def _dense(outputs: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = 3
    for block, width in enumerate((32, 64, 128, 256)):
        shapes |= (_separable if block else _plain_three)(f"dense{block}/conv0", inputs, width)
        for index in (1, 2, 3):
            shapes |= _separable(f"dense{block}/conv{index}", width, width)
        inputs = width
    return shapes | {"fc/weights": (256, outputs), "fc/bias": (outputs,)}


def _plain_three(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return _plain(name, inputs, outputs, 3)


def _resnet() -> dict[str, tuple[int, ...]]:
    layers = {"conv32_down": (3, 32, 7)}
    blocks = ["32_1", "32_2", "32_3", "64_down", "64_1", "64_2", "64_3", "128_down", "128_1", "128_2"]
    blocks += ["256_down", "256_1", "256_2", "256_down_out"]
    inputs = 32
    for block in blocks:
        width = int(block.split("_")[0])
        layers |= {f"conv{block}/conv1": (inputs, width, 3), f"conv{block}/conv2": (width, width, 3)}
        inputs = width
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (before, width, kernel) in layers.items():
        shapes |= _plain(f"{name}/conv", before, width, kernel)
        shapes |= {f"{name}/scale/weights": (width,), f"{name}/scale/biases": (width,)}
    return shapes | {"fc": (256, 128)}


def text(value: str) -> dict[str, str]:
    """An attribute of text."""
    return {"s": base64.b64encode(value.encode()).decode()}


def texts(*values: str) -> dict[str, Any]:
    """An attribute of several texts."""
    return {"list": {"s": [text(value)["s"] for value in values]}}


def window(height: int, width: int) -> dict[str, Any]:
    """A stride or a window."""
    return {"list": {"i": ["1", str(height), str(width), "1"]}}


def node(name: str, op: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    """A node of a graph."""
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def graph() -> tuple[list[dict[str, Any]], Tensors]:
    """A graph on images of 9 x 9 with every known operation; its outputs are `probability`, `classes` and `flat`."""
    rng = np.random.default_rng(3)

    def half(*shape: int) -> tuple[np.ndarray, dict[str, Any]]:
        return rng.normal(0, 0.4, shape).astype("<f2"), {"dtype": "float16", "original_dtype": "float32"}

    def whole(*values: Any) -> tuple[np.ndarray, None]:
        return np.array(values, "<i4"), None

    tensors: Tensors = {
        "k1": half(3, 3, 3, 4),
        "scale": half(4),
        "shift": half(4),
        "six": (np.array(0.9, "<f4"), None),
        "zero": (np.array(0.1, "<f4"), None),
        "k2": half(2, 3, 4, 2),
        "k3": half(1, 1, 8, 5),
        "b3": half(5),
        "slope": half(1, 1, 5),
        "k4": half(3, 3, 5, 4),
        "b4": half(4),
        "slope4": half(1, 1, 4),
        "k5": half(1, 1, 5, 6),
        "b5": half(6),
        "pads": whole([0, 0], [0, 0], [0, 0], [0, 2]),
        "axes": whole(1, 2),
        "matrix": half(6, 3),
        "bias": half(3),
        "shape": whole(-1, 24),
    }
    layout = {"data_format": text("NHWC"), "dilations": window(1, 1)}
    same, valid = {"padding": text("SAME"), **layout}, {"padding": text("VALID"), **layout}
    one, two = {"strides": window(1, 1)}, {"strides": window(2, 2)}
    size = {"dim": [{"size": "-1"}, {"size": "9"}, {"size": "9"}, {"size": "3"}]}
    nodes = [{"name": name, "op": "Const", "attr": {}} for name in tensors]
    nodes += [
        node("image", "Placeholder", shape={"shape": size}),
        node("c1", "Conv2D", "image", "k1", **same, **two),
        node("times", "Mul", "scale", "c1"),
        node("plus", "Add", "times", "shift"),
        node("positive", "Relu", "plus"),
        node("low", "Minimum", "positive", "six"),
        node("clipped", "Maximum", "low:0", "zero"),
        node("deep", "DepthwiseConv2dNative", "clipped", "k2", **valid, **one),
        node(
            "c3",
            "_FusedConv2D",
            "deep",
            "k3",
            "b3",
            **valid,
            **one,
            fused_ops=texts("BiasAdd", "Relu"),
            num_args={"i": "1"},
        ),
        node("pool", "MaxPool", "c3", **same, **two, ksize=window(3, 3)),
        node("bent", "Prelu", "pool", "slope"),
        node(
            "c4",
            "_FusedConv2D",
            "bent",
            "k4",
            "b4",
            "slope4",
            **same,
            **one,
            fused_ops=texts("BiasAdd", "Prelu"),
            num_args={"i": "2"},
        ),
        node("c5", "_FusedConv2D", "bent", "k5", "b5", **same, **one, fused_ops=texts("BiasAdd"), num_args={"i": "1"}),
        node("wide", "Pad", "c4", "pads"),
        node("sum", "AddV2", "wide", "c5"),
        node("mean", "Mean", "sum", "axes", keep_dims={"b": False}),
        node(
            "dense", "_FusedMatMul", "mean", "matrix", "bias", fused_ops=texts("BiasAdd", "Relu"), num_args={"i": "1"}
        ),
        node("probability", "Sigmoid", "mean"),
        node("classes", "Softmax", "dense"),
        node("reshaped", "Reshape", "sum", "shape"),
        node("flat", "Identity", "reshaped"),
    ]
    return nodes, tensors


OUTPUTS = ("probability", "classes", "flat")
