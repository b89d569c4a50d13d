"""MobileStyleGAN as OpenVINO's files, with random weights: nodes and names of the published graphs, few channels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import torch
from torch import Tensor

from stylegan.mobile.generator import MobileGenerator
from stylegan.mobile.synthesis import MobileConv

KINDS = {"float32": "f32", "int64": "i64"}
SMALL = {4: 16, 8: 12, 16: 8}


def make_mobile(**changes: Any) -> MobileGenerator:
    """A small generator in which every number matters: three blocks, images of 32 px."""
    torch.manual_seed(3)
    settings: dict[str, Any] = {"resolution": 32, "channels": SMALL, "z_dim": 6, "w_dim": 5, "mapping_layers": 3}
    generator = MobileGenerator(**settings | changes)
    with torch.no_grad():
        for name, value in generator.state_dict().items():
            if name.endswith(("bias", "w_avg")):
                value += (20.0 if "mapping.fc" in name else 0.3) * torch.randn(value.shape)
    return generator.eval().requires_grad_(False)


class GraphWriter:
    """Nodes, edges and numbers of one graph."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[str] = []
        self.edges: list[str] = []
        self.numbers = bytearray()

    def node(self, operation: str, *sources: int, name: str = "", data: str = "") -> int:
        number = len(self.nodes)
        name = quoteattr(name or f"{operation}_{number}")
        self.nodes.append(f'<layer id="{number}" name={name} type="{operation}" version="opset1">{data}</layer>')
        for port, source in enumerate(sources):
            self.edges.append(f'<edge from-layer="{source}" from-port="9" to-layer="{number}" to-port="{port}"/>')
        return number

    def constant(self, values: Tensor | list[float], *shape: int, name: str = "") -> int:
        array = np.asarray(values, dtype="<f4")
        shape = shape or array.shape
        place = f'offset="{len(self.numbers)}" size="{array.nbytes}"'
        text = f'<data element_type="f32" shape="{", ".join(map(str, shape))}" {place}/>'
        self.numbers += array.tobytes()
        return self.node("Const", name=name, data=text)

    def write(self, path: Path) -> Path:
        body = f"<layers>{''.join(self.nodes)}</layers><edges>{''.join(self.edges)}</edges>"
        path.write_text(f'<?xml version="1.0" ?>\n<net name="{self.name}" version="10">{body}</net>\n')
        path.with_suffix(".bin").write_bytes(self.numbers)
        return path


def write_mobile(generator: MobileGenerator, folder: Path) -> tuple[Path, Path]:
    """The two graphs of a generator, with their numbers next to them: paths of mapping.xml and synthesis.xml."""
    mapping = write_mapping(generator).write(folder / "mapping.xml")
    return mapping, write_synthesis(generator).write(folder / "synthesis.xml")


def write_mapping(generator: MobileGenerator) -> GraphWriter:
    graph = GraphWriter("MappingNetwork")
    x = graph.node("Multiply", graph.node("Parameter", name="var"), graph.constant([1.0], 1, 1))
    for index in range(generator.mapping.num_layers):
        layer: Any = generator.mapping.get_submodule(f"fc{index}")
        product = graph.node("MatMul", x, graph.constant(layer.weight * layer.weight_gain))
        bias = graph.node("Reshape", graph.constant(layer.bias * layer.bias_gain), graph.constant([1.0, -1.0]))
        x = activation(graph, graph.node("Add", product, bias))
        x = graph.node("Multiply", x, graph.constant([math.sqrt(2)], 1, 1))
    graph.node("Result", x)
    return graph


def write_synthesis(generator: MobileGenerator) -> GraphWriter:
    graph = GraphWriter("SynthesisNetwork")
    style = graph.node("Parameter", name="style")
    synthesis = generator.synthesis
    x = graph.constant(synthesis.get_parameter("b4.const")[None], name="m.input.input")
    for index, name in enumerate(synthesis.block_names):
        block: Any = synthesis.get_submodule(name)
        prefix = f"m.layers.{index - 1}" if index else "m"
        if index:
            x = graph.node("Multiply", affine(graph, style, block.up, f"{prefix}.up"), x)
            x = convolution(
                graph, style, haar(graph, x, len(block.up.affine.bias) // 4), block.conv1, f"{prefix}.conv1"
            )
        x = convolution(graph, style, x, block.conv2 if index else block.conv1, f"{prefix}.conv{2 if index else 1}")
    torgb: Any = synthesis.get_submodule("torgb")
    head = f"{prefix}.to_img"
    x = graph.node("Multiply", scaled(graph, style, torgb, f"{head}.conv", torgb.weight.shape[1]), x)
    x = graph.node("Convolution", x, graph.constant(torgb.weight, name=f"{head}.conv.weight"))
    x = graph.node("Add", x, graph.constant(torgb.bias, 1, 12, 1, 1, name=f"{head}.bias"))
    graph.node("Result", haar(graph, x, 3))
    return graph


def activation(graph: GraphWriter, x: int) -> int:
    return graph.node("PReLU", x, graph.constant([0.2]))


def affine(graph: GraphWriter, style: int, layer: Any, prefix: str) -> int:
    weight = graph.constant(layer.affine.scaled_weight(), name=f"{prefix}.modulation.weight")
    bias = graph.constant(layer.affine.bias, 1, len(layer.affine.bias), name=f"{prefix}.modulation.bias")
    total = graph.node("Add", graph.node("MatMul", style, weight), bias)
    return graph.node("Reshape", total, graph.constant([1.0, -1.0, 1.0, 1.0]))


def scaled(graph: GraphWriter, style: int, layer: Any, prefix: str, terms: int) -> int:
    gain = graph.constant([1 / math.sqrt(terms)], 1, 1, 1, 1)
    return graph.node("Multiply", affine(graph, style, layer, prefix), gain)


def convolution(graph: GraphWriter, style: int, x: int, layer: MobileConv, prefix: str) -> int:
    channels_out, channels_in = layer.weight.shape[:2]
    x = graph.node("Multiply", scaled(graph, style, layer, f"{prefix}.conv", 9 * channels_in), x)
    if layer.depthwise is not None:
        kernel = graph.constant(layer.depthwise, channels_in, 1, 1, 3, 3, name=f"{prefix}.conv.weight_dw")
        x = graph.node("GroupConvolution", x, kernel)
    x = graph.node("Convolution", x, graph.constant(layer.weight))
    x = graph.node("Add", x, graph.constant(layer.noise_const[None, None]))
    x = graph.node("Add", x, graph.constant(layer.bias, 1, channels_out, 1, 1, name=f"{prefix}.bias"))
    return activation(graph, x)


def haar(graph: GraphWriter, x: int, channels: int) -> int:
    """An inverse Haar transform: two filters along rows and one along columns, twice."""
    split = graph.node("VariadicSplit", x)
    low, high = [math.sqrt(0.5)] * 2, [math.sqrt(0.5), -math.sqrt(0.5)]
    halves = []
    for last in (low, high):
        filters = [graph.constant([taps] * channels, channels, 1, 1, 2, 1) for taps in (low, high)]
        rows = graph.node("Add", *(graph.node("GroupConvolutionBackpropData", split, kernel) for kernel in filters))
        columns = graph.constant([last] * channels, channels, 1, 1, 1, 2)
        halves.append(graph.node("GroupConvolutionBackpropData", rows, columns))
    return graph.node("Add", *halves)
