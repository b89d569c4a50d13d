from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks.tfjs.graph import Graph, read_graph
from pipeline.networks.tfjs.operations import BUILDERS
from tests.builders import tfjs_files
from tests.checks import judge_outputs

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    nodes, tensors = tfjs_files.graph()
    return tfjs_files.write(tmp_path, "graph", tensors, nodes)


@pytest.fixture
def graph(files: tuple[Path, Path]) -> Graph:
    return read_graph(*files, tfjs_files.OUTPUTS)


def test_every_operation_equals_its_own_runtime(graph: Graph) -> None:
    nodes, _ = tfjs_files.graph()
    assert {node["op"] for node in nodes} == {*BUILDERS, "Const", "Placeholder"}
    values = graph(judge_outputs.pictures(9))
    assert [value.shape[1:] for value in values] == graph.output_shapes == [(6,), (3,), (24,)]
    torch.testing.assert_close(torch.cat(values, dim=1), judge_outputs.outputs("random-graph"), rtol=1e-5, atol=1e-6)


def test_gradients_pass(graph: Graph) -> None:
    images = judge_outputs.pictures(9).requires_grad_()
    sum(value.square().sum() for value in graph(images)).backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in graph.parameters()) and not graph.training


def test_an_image_does_not_depend_on_its_batch(graph: Graph) -> None:
    images = torch.rand(3, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    together, alone = torch.cat(graph(images), dim=1), torch.cat(graph(images[1:2]), dim=1)
    torch.testing.assert_close(together[1:2], alone, rtol=1e-6, atol=1e-6)


def test_what_no_output_needs_is_left_out(files: tuple[Path, Path]) -> None:
    few = read_graph(*files, ["probability"])
    assert "dense" not in [name for name, _ in few.names] and len(few.names) < 20
    change(files, node_of("dense", lambda node: node.update(op="Unheard")))
    read_graph(*files, ["probability"])


def change(files: tuple[Path, Path], by: Change) -> None:
    value = json.loads(files[0].read_text())
    by(value)
    files[0].write_text(json.dumps(value))


def node_of(name: str, by: Change) -> Change:
    def apply(value: dict[str, Any]) -> None:
        by(next(node for node in value["modelTopology"]["node"] if node["name"] == name))

    return apply


def attributes(name: str, **changes: Any) -> Change:
    return node_of(name, lambda node: node["attr"].update(changes))


def inputs(name: str, *names: str) -> Change:
    return node_of(name, lambda node: node.update(input=list(names)))


def add_node(**node: Any) -> Change:
    return lambda value: value["modelTopology"]["node"].append(node)


def sizes(*numbers: str) -> dict[str, Any]:
    return {"shape": {"dim": [{"size": number} for number in numbers]}}


ODD: dict[str, tuple[Change, str]] = {
    "an unknown operation": (node_of("mean", lambda node: node.update(op="PyFunc")), "'PyFunc'.*Known: Add, AddV2"),
    "an unknown fused operation": (attributes("c3", fused_ops=tfjs_files.texts("BiasAdd", "Elu")), "Elu"),
    "a fused operation without its bias": (attributes("c3", fused_ops=tfjs_files.texts("Relu")), "fuses"),
    "a fused slope without one": (inputs("c4", "bent", "k4", "b4"), "slope"),
    "another layout": (attributes("c1", data_format=tfjs_files.text("NCHW")), "NCHW"),
    "another padding": (attributes("c1", padding=tfjs_files.text("EXPLICIT")), "EXPLICIT"),
    "a dilation": (attributes("c1", dilations=tfjs_files.window(2, 2)), "dilat"),
    "a stride of nought": (attributes("c1", strides=tfjs_files.window(0, 1)), "strides"),
    "a long stride": (attributes("c1", strides=tfjs_files.window(65, 1)), "strides"),
    "a broken stride": (attributes("c1", strides={"list": {"i": ["1", "x", "1", "1"]}}), "whole number"),
    "no stride": (attributes("c1", strides=None), "strides"),
    "text that is not base64": (attributes("c1", padding={"s": "?"}), "base64"),
    "a transposed matrix": (attributes("dense", transpose_b={"b": True}), "transpose"),
    "a circle": (inputs("times", "scale", "clipped"), "circle"),
    "an input that is no node": (inputs("positive", "nobody"), "nobody"),
    "a control input": (inputs("positive", "plus", "^image"), "no node"),
    "a second input": (inputs("sum", "wide", "other"), "second input"),
    "two constants": (inputs("times", "scale", "shift"), "not both constant"),
    "too few inputs": (inputs("sum", "wide"), "inputs"),
    "a kernel of another shape": (inputs("c1", "image", "matrix"), "four axes"),
    "whole numbers as a kernel": (inputs("c1", "image", "pads"), "four axes"),
    "other axes": (inputs("mean", "sum", "shape"), r"axes \[-1, 24\]"),
    "maps that do not fit": (inputs("sum", "wide", "c3"), "do not fit together"),
    "a shape that does not fit": (inputs("reshaped", "mean", "shape"), "do not fit together"),
    "a node twice": (add_node(name="mean", op="Relu", input=["sum"]), "twice"),
    "a node without a name": (add_node(op="Relu"), "expected a node"),
    "inputs that are no list": (add_node(name="x", op="Relu", input="sum"), "not a list of names"),
    "attributes that are no object": (add_node(name="x", op="Relu", attr=[]), "not a JSON object"),
    "a constant without a tensor": (inputs("times", "empty", "c1"), "no tensor"),
    "a huge image": (attributes("image", shape=sizes("-1", "4096", "4096", "3")), "4096"),
    "an image of three axes": (attributes("image", shape=sizes("-1", "9", "9")), "shape"),
    "no image": (attributes("image", shape=None), "shape"),
    "no nodes": (lambda value: value.update(modelTopology={}), "modelTopology"),
    "no manifest": (lambda value: value.pop("weightsManifest"), "manifest"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_graphs_are_refused(name: str, files: tuple[Path, Path]) -> None:
    by, expected = ODD[name]
    change(files, add_node(name="other", op="Placeholder", attr={"shape": sizes("-1", "9", "9", "3")}))
    change(files, add_node(name="empty", op="Const"))
    change(files, by)
    with pytest.raises(WeightsError, match=rf"graph\.json.*{expected}"):
        read_graph(*files, tfjs_files.OUTPUTS)


def test_an_output_that_is_not_there(files: tuple[Path, Path]) -> None:
    with pytest.raises(WeightsError, match="no node 'logits'"):
        read_graph(*files, ["logits"])


def test_an_output_that_depends_on_no_image(files: tuple[Path, Path]) -> None:
    with pytest.raises(WeightsError, match="no output depends on an input"):
        read_graph(*files, ["matrix"])


@pytest.mark.parametrize("times", [1, 40])
def test_values_that_would_fill_the_memory_are_refused(times: int, tmp_path: Path) -> None:
    """Each padding adds 2 x 4,096 rows and columns: refused before anything of that size is made."""
    pads = np.array([[0, 0], [4096, 4096], [4096, 4096], [0, 0]], "<i4")
    size = sizes("-1", "9", "9", "3")
    nodes = [{"name": "pads", "op": "Const"}, tfjs_files.node("image", "Placeholder", shape=size)]
    nodes += [tfjs_files.node(f"p{i}", "Pad", f"p{i - 1}" if i else "image", "pads") for i in range(times)]
    files = tfjs_files.write(tmp_path, "graph", {"pads": (pads, None)}, nodes)
    with pytest.raises(WeightsError, match="elements, more than"):
        read_graph(*files, [f"p{times - 1}"])
