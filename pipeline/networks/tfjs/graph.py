"""A TensorFlow.js graph model as a torch module: nodes in JSON, weights in a .bin.

Only operations of `operations.py` are known. The graph is data: a node becomes a module of ours, and a name in the file
never becomes code.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from pipeline.networks.tfjs.nodes import Node, read_nodes
from pipeline.networks.tfjs.operations import build
from pipeline.networks.tfjs.weights import decoded, read_json

LARGEST_INPUT = 1024  # of a side in pixels, and of the channels
MOST_ELEMENTS = 2**26  # of a value of one image, within the graph


class Graph(nn.Module):
    """A graph of modules: images (N, C, H, W) -> the values of `outputs`, in their order; differentiable.

    `steps` are (name, module, inputs) in an order in which they can be computed; `shape` is (C, H, W) of the input, and
    `output_shapes` has the shape of each output of one image, without the axis of images.
    """

    def __init__(
        self,
        steps: Sequence[tuple[str, nn.Module, tuple[str, ...]]],
        source: str,
        outputs: Sequence[str],
        shape: tuple[int, int, int],
    ) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList(module for _, module, _ in steps)
        self.names = [(name, inputs) for name, _, inputs in steps]
        self.source, self.outputs, self.shape = source, tuple(outputs), shape
        self.output_shapes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> list[Tensor]:
        values = {self.source: images.permute(0, 2, 3, 1)}
        readers = Counter(name for _, inputs in self.names for name in inputs) + Counter(self.outputs)
        for (name, inputs), module in zip(self.names, self.modules_, strict=True):
            values[name] = module(*(values[part] for part in inputs))
            for part in inputs:
                readers[part] -= 1
                if not readers[part]:  # frees memory: nobody reads it again
                    del values[part]
        return [values[name] for name in self.outputs]


def read_graph(path: Path, data: Path, outputs: Sequence[str]) -> Graph:
    """The graph of a model's JSON file and its .bin, frozen, in evaluation mode.

    `outputs` names the nodes whose values are wanted; the graph has one input, and parts that no output needs are left
    out. Raises WeightsError for files that are missing, damaged or hostile, and for operations that are not known.
    """
    model = read_json(path)
    if not isinstance(model, dict):
        raise WeightsError(f"{path} is not a graph model: expected a JSON object.")
    nodes = read_nodes(model.get("modelTopology"), path)
    tensors = decoded(model.get("weightsManifest"), path, data)
    order = _order(nodes, outputs, path)
    constants = {name: tensors[name] for name in order if nodes[name].op == "Const" and name in tensors}
    steps = []
    source: Node | None = None
    for name in order:
        node = nodes[name]
        if node.op == "Placeholder":
            if source is not None:
                raise node.refuse(f"is a second input besides {source.name!r}; expected one.")
            source = node
        elif node.op == "Const":
            if name not in constants:
                raise node.refuse("has no tensor in the manifest.")
        else:
            steps.append((name, *build(node, constants)))
    if source is None:
        raise WeightsError(f"{path}: no output depends on an input. Expected outputs {', '.join(outputs)}.")
    graph = Graph(steps, source.name, outputs, _input_shape(source)).eval().requires_grad_(False)
    graph.output_shapes = _output_shapes(graph, path)
    return graph


def _order(nodes: dict[str, Node], outputs: Sequence[str], path: Path) -> list[str]:
    """The nodes that the outputs need, inputs first."""
    needed: dict[str, tuple[str, ...]] = {}
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in nodes:
            raise WeightsError(f"{path} has no node {name!r:.200}, which is an output of this network. Fetch it again.")
        if name not in needed:
            needed[name] = nodes[name].inputs
            waiting += needed[name]
    try:
        return list(TopologicalSorter(needed).static_order())
    except CycleError as error:
        raise WeightsError(f"{path}: nodes read each other in a circle: {error.args[1]!r:.300}.") from error


def _input_shape(node: Node) -> tuple[int, int, int]:
    """(C, H, W) of a placeholder whose shape is (-1, H, W, C)."""
    held = node.attribute("shape", "shape")
    axes = held.get("dim") if isinstance(held, dict) else None
    sizes = [node.whole(axis.get("size") if isinstance(axis, dict) else None) for axis in axes or []]
    if len(sizes) != 4 or sizes[0] not in (-1, 1) or not all(0 < size <= LARGEST_INPUT for size in sizes[1:]):
        raise node.refuse(f"has shape {sizes!r:.80}; expected [-1, height, width, channels] up to {LARGEST_INPUT}.")
    return sizes[3], sizes[1], sizes[2]


def _output_shapes(graph: Graph, path: Path) -> list[tuple[int, ...]]:
    """Shapes of the outputs of one image, computed without memory for values. Raises WeightsError if nothing fits."""

    def check(module: nn.Module, inputs: object, value: Tensor) -> None:
        if value.numel() > MOST_ELEMENTS:
            raise WeightsError(f"{path}: a value has {value.numel()} elements, more than {MOST_ELEMENTS}.")

    twin = copy.deepcopy(graph).to("meta")
    for module in twin.modules_:
        module.register_forward_hook(check)
    try:
        return [tuple(value.shape[1:]) for value in twin(torch.zeros(1, *graph.shape, device="meta"))]
    except (RuntimeError, IndexError, ValueError) as error:
        raise WeightsError(f"{path}: the operations do not fit together: {error}") from error
