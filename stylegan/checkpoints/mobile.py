"""MobileStyleGAN in OpenVINO's files: one graph for the mapping network, one for the synthesis network.

The authors' names survive in the graphs for some constants only. The others (kernels with folded factors, noise) are
found by the operations that read them. Factors and filters that this program computes itself must be the expected ones.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stylegan.checkpoints.found import AVERAGE_W, MOST_FAULTS, check_memory, read_tensor
from stylegan.checkpoints.inert import Values, changed
from stylegan.checkpoints.limits import RefusalError
from stylegan.checkpoints.opening import exhausted, read_checked, refused
from stylegan.checkpoints.openvino import CONSTANT, Graph, read_graph
from stylegan.layers import ACTIVATION_GAIN, LEAKY_SLOPE, FullyConnected
from stylegan.mobile.architecture import MobileArchitecture
from stylegan.mobile.generator import MobileGenerator
from stylegan.mobile.measured import SAMPLES, Measured, keep, measure, measured
from stylegan.weights import checked_settings

MOST_BLOCKS = 9
"""Blocks after the first one; nine make images of 4,096 px."""
LOW, HIGH = (1.0, 1.0), (1.0, -1.0)
HAAR = (LOW, HIGH, LOW, LOW, HIGH, HIGH)
"""The signs of the filters of an inverse Haar transform, in the order of a graph."""


@dataclass(frozen=True)
class MobileCheckpoint:
    """A generator read from four files."""

    generator: MobileGenerator
    mean_distance: float
    """Mean distance of two random w, the unit of displacements."""
    sha256: Mapping[str, str]
    """File name -> sha256 of the bytes that were read."""
    assumed: tuple[str, ...]
    """Properties that the files do not state, and the value assumed for each, in words."""


def read_mobile(
    mapping: Path | str, synthesis: Path | str, *, expected_sha256: Mapping[str, str] | None = None
) -> MobileCheckpoint:
    """Read a generator: on the CPU, in eval mode, with frozen parameters.

    `mapping` and `synthesis` are the paths of the two graphs (.xml); the numbers are in files of the same names that
    end in .bin. If `expected_sha256` (file name -> sha256) is given, it must name all four, and another sha256 is
    refused before the file is parsed. The average w is not in the files: for the published mapping network it is a
    constant of this program, for any other it is measured. Raises CheckpointError, with the reason, for other files.
    """
    hashes: dict[str, str] = {}
    graphs = [_graph(Path(path), expected_sha256, hashes) for path in (mapping, synthesis)]
    path = Path(synthesis)
    try:
        generator = _build(*graphs)
    except MemoryError as error:
        raise exhausted(path) from error
    except RefusalError as refusal:
        raise refused(path, refusal) from refusal
    known = measured(hashes[Path(mapping).with_suffix(".bin").name])
    facts: Measured = known or measure(generator)
    generator.mapping.w_avg.copy_(facts.w_avg)
    assumed = () if known else (f"the average w is not in the file and was measured over {facts.samples:,} random z",)
    return MobileCheckpoint(generator, facts.mean_distance, hashes, assumed)


def _graph(path: Path, expected: Mapping[str, str] | None, hashes: dict[str, str]) -> tuple[Graph, int]:
    """The graph of one network and the bytes of its numbers; adds the hashes of both files to `hashes`."""
    read: list[bytes] = []
    file = path
    try:
        for file in (path, path.with_suffix(".bin")):
            data, hashes[file.name] = read_checked(file, None if expected is None else expected[file.name])
            read.append(data)
        file = path
        return read_graph(*read), len(read[1])
    except MemoryError as error:
        raise exhausted(file) from error
    except RefusalError as refusal:
        raise refused(file, refusal) from refusal


def _build(mapping: tuple[Graph, int], synthesis: tuple[Graph, int]) -> MobileGenerator:
    """Our generator with the tensors of both graphs. Shapes are compared before values are read."""
    values = _mapping(mapping[0])
    blocks = _blocks(synthesis[0])
    for resolution, prefix in blocks.items():
        values |= _block(synthesis[0], resolution, prefix)
    values |= _torgb(synthesis[0], f"{blocks[max(blocks)]}.to_img")
    check_memory(values, mapping[1] + synthesis[1])
    architecture = _architecture(values, blocks)
    with torch.device("meta"):
        generator = MobileGenerator.from_architecture(architecture)
    return _filled(generator, values)


def _mapping(graph: Graph) -> dict[str, Values]:
    """The fully connected layers: each weight, already with its gain, is read by a product; each bias by a sum."""
    values: dict[str, Values] = {}
    for index, product in enumerate(graph.of("MatMul")):
        total = graph.reader(product, "Add")
        reshaped = graph.source(total, 1, "Reshape")
        activated = graph.reader(total, "PReLU")
        _check_number(graph, activated, 1, LEAKY_SLOPE)
        _check_number(graph, graph.reader(activated, "Multiply"), 1, ACTIVATION_GAIN)
        values[f"mapping.fc{index}.weight"] = _stored(graph, graph.source(product, 1, CONSTANT))
        values[f"mapping.fc{index}.bias"] = _stored(graph, graph.source(reshaped, 0, CONSTANT))
    if not values:
        raise RefusalError("its graph of the mapping network has no fully connected layer")
    return values


def _blocks(graph: Graph) -> dict[int, str]:
    """Resolution of each block -> the authors' prefix of its names. Refuses filters other than Haar's."""
    found = [
        m
        for node in graph.nodes.values()
        if (m := re.fullmatch(r"(m\.layers\.(\d))\.up\.modulation\.weight", node.name))
    ]
    prefixes = [m[1] for m in sorted(found, key=lambda m: int(m[2]))]
    if not 1 <= len(prefixes) <= MOST_BLOCKS or prefixes != [f"m.layers.{k}" for k in range(len(prefixes))]:
        raise RefusalError("its graph of the synthesis network does not have the layers of MobileStyleGAN")
    filters = [graph.constant(graph.source(k, 1, CONSTANT)).read() for k in graph.of("GroupConvolutionBackpropData")]
    for values, signs in zip(filters, (len(prefixes) + 1) * HAAR, strict=False):
        if values.size % 2 or not np.allclose(values.reshape(-1, 2) * math.sqrt(2), signs, atol=1e-6):
            raise RefusalError("its graph upsamples by another transform than the inverse Haar transform")
    if len(filters) != (len(prefixes) + 1) * len(HAAR):
        raise RefusalError(
            f"its graph has {len(filters)} upsampling filters, expected six for each block and the image"
        )
    return {4: "m"} | {8 << index: prefix for index, prefix in enumerate(prefixes)}


def _block(graph: Graph, resolution: int, prefix: str) -> dict[str, Values]:
    """The tensors of one block. Noise and kernels are found from the bias, backwards."""
    block = f"synthesis.b{resolution}"
    if resolution == 4:
        start = _dropped(graph, "m.input.input", 0)
        return {f"{block}.const": start} | _convolution(graph, f"{block}.conv1", f"{prefix}.conv1")
    return (
        _affine(graph, f"{block}.up.affine", f"{prefix}.up")
        | _convolution(graph, f"{block}.conv1", f"{prefix}.conv1")
        | _convolution(graph, f"{block}.conv2", f"{prefix}.conv2")
    )


def _convolution(graph: Graph, target: str, prefix: str) -> dict[str, Values]:
    """The tensors of one convolution: in the graph, depthwise and pointwise kernel, noise, bias, activation."""
    total = graph.reader(graph.named(f"{prefix}.bias"), "Add")
    _check_number(graph, graph.reader(total, "PReLU"), 1, LEAKY_SLOPE)
    noisy = graph.source(total, 0, "Add")
    convolved = graph.source(noisy, 0, "Convolution")
    weight = graph.source(convolved, 1, CONSTANT)
    values = _affine(graph, f"{target}.affine", f"{prefix}.conv")
    channels = values[f"{target}.affine.bias"].shape[0]
    _check_number(graph, graph.reader(_styles(graph, f"{prefix}.conv"), "Multiply"), 1, 1 / math.sqrt(9 * channels))
    if f"{prefix}.conv.weight_dw" in graph:
        depthwise = graph.source(graph.source(convolved, 0, "GroupConvolution"), 1, CONSTANT)
        values[f"{target}.depthwise"] = _dropped(graph, graph.nodes[depthwise].name, 1)
    return values | {
        f"{target}.weight": _stored(graph, weight),
        f"{target}.bias": _dropped(graph, f"{prefix}.bias", 0, 2, 3),
        f"{target}.noise_const": _dropped(graph, graph.nodes[graph.source(noisy, 1, CONSTANT)].name, 0, 1),
    }


def _torgb(graph: Graph, prefix: str) -> dict[str, Values]:
    """The tensors of the layer to the image."""
    values = _affine(graph, "synthesis.torgb.affine", f"{prefix}.conv")
    channels = values["synthesis.torgb.affine.bias"].shape[0]
    _check_number(graph, graph.reader(_styles(graph, f"{prefix}.conv"), "Multiply"), 1, 1 / math.sqrt(channels))
    return values | {
        "synthesis.torgb.weight": _stored(graph, graph.named(f"{prefix}.conv.weight")),
        "synthesis.torgb.bias": _dropped(graph, f"{prefix}.bias", 0, 2, 3),
    }


def _affine(graph: Graph, target: str, prefix: str) -> dict[str, Values]:
    """The affine layer of a layer's styles; its weight is stored with the gain."""
    return {
        f"{target}.weight": _stored(graph, graph.named(f"{prefix}.modulation.weight")),
        f"{target}.bias": _dropped(graph, f"{prefix}.modulation.bias", 0),
    }


def _styles(graph: Graph, prefix: str) -> int:
    """The node of a layer's styles, as one pixel for each channel."""
    return graph.reader(graph.reader(graph.named(f"{prefix}.modulation.bias"), "Add"), "Reshape")


def _stored(graph: Graph, number: int) -> Values:
    """A constant as it is stored."""
    return graph.constant(number)


def _dropped(graph: Graph, name: str, *axes: int) -> Values:
    """The constant of a name without these axes, which must have the length one."""
    constant = graph.constant(graph.named(name))
    if any(axis >= len(constant.shape) or constant.shape[axis] != 1 for axis in axes):
        raise RefusalError(f"its graph has {name} as {constant.shape}; axes {axes} should have the length 1")
    shape = tuple(length for axis, length in enumerate(constant.shape) if axis not in axes)
    return changed(constant, shape, lambda values: values.reshape(shape))


def _check_number(graph: Graph, number: int, index: int, expected: float) -> None:
    """Raise RefusalError unless the input `index` of a node is one number, the only one that this program has there."""
    values = graph.constant(graph.source(number, index, CONSTANT)).read()
    if values.size != 1 or not math.isclose(float(values.reshape(-1)[0]), expected, rel_tol=1e-5):
        raise RefusalError(
            f"{graph.nodes[number].name} of its graph has the factor {values.reshape(-1)[:3].tolist()}, this program's "
            f"has {expected:.6g}"
        )


def _architecture(values: dict[str, Values], blocks: dict[int, str]) -> MobileArchitecture:
    """The architecture that fits the tensors' shapes. Raises RefusalError if none does."""
    described = {
        "resolution": 2 * max(blocks),
        "channels": {str(r): values[f"synthesis.b{r}.conv1.bias"].shape[0] for r in blocks},
        "z_dim": _width(values, "mapping.fc0.weight"),
        "w_dim": _width(values, "synthesis.b4.conv1.affine.weight"),
        "mapping_layers": sum(name.startswith("mapping.") for name in values) // 2,
        "conv_clamp": None,
    }
    try:
        return MobileArchitecture(**checked_settings(described))
    except ValueError as error:
        raise RefusalError(f"its generator cannot be built: {error}") from error


def _width(values: dict[str, Values], name: str) -> int:
    """The columns of a matrix."""
    shape = values[name].shape
    if len(shape) != 2:
        raise RefusalError(f"its generator has {name} as {shape}, expected two axes")
    return shape[1]


def _filled(generator: MobileGenerator, values: dict[str, Values]) -> MobileGenerator:
    """The generator with the values as its weights, which are divided by the gains with which it multiplies them."""
    gains: dict[str, float] = {}
    for name, module in generator.named_modules():
        if isinstance(module, FullyConnected):
            gains |= {f"{name}.weight": module.weight_gain, f"{name}.bias": module.bias_gain}
    expected = {name: tuple(value.shape) for name, value in generator.state_dict().items() if name != AVERAGE_W}
    faults = [f"lacks {name}" for name in expected if name not in values]
    faults += [f"has {name}, which no such generator has" for name in values if name not in expected]
    shared = expected.keys() & values.keys()
    faults += [
        f"has {k} as {values[k].shape}, expected {expected[k]}" for k in shared if values[k].shape != expected[k]
    ]
    if faults:
        raise RefusalError(f"its generator is no known MobileStyleGAN: it {'; it '.join(sorted(faults)[:MOST_FAULTS])}")
    tensors = {AVERAGE_W: torch.zeros(generator.w_dim)}
    for name in expected:
        tensor = read_tensor(name, values[name])
        if not bool(torch.isfinite(tensor).all()):
            raise RefusalError(f"its {name} holds infinite or undefined values")
        tensors[name] = (tensor.double() / gains.get(name, 1.0)).float()
    generator.load_state_dict(tensors, strict=True, assign=True)
    return generator.eval().requires_grad_(False)


def main(mapping: str, synthesis: str) -> None:
    """Measure the average w and the mean distance of these files' mapping network, and keep them."""
    checkpoint = read_mobile(mapping, synthesis)
    numbers = Path(mapping).with_suffix(".bin").name
    keep(checkpoint.sha256[numbers], measure(checkpoint.generator, samples=SAMPLES))


if __name__ == "__main__":
    main(*sys.argv[1:])
