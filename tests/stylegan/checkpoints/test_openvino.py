"""OpenVINO's graphs: what is read, and hostile ones, each refused by what is wrong with it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from stylegan.checkpoints.limits import RefusalError
from stylegan.checkpoints.openvino import DEEPEST, LARGEST_GRAPH, MOST_NODES, Graph, read_graph

NUMBERS = np.arange(6, dtype="<f4").tobytes() + np.arange(2, dtype="<i8").tobytes()
CONST = '<layer id="0" name="a" type="Const"><data element_type="f32" shape="2, 3" offset="0" size="24"/></layer>'
LAYERS = (
    CONST
    + '<layer id="1" name="b" type="Const"><data element_type="i64" shape="2" offset="24" size="16"/></layer>'
    + '<layer id="2" name="c" type="Add"><output><port id="2"><dim>2</dim></port></output></layer>'
)
EDGES = '<edge from-layer="0" from-port="0" to-layer="2" to-port="0"/><edge from-layer="1" to-layer="2" to-port="1"/>'


def graph_text(layers: str = LAYERS, edges: str = EDGES, before: str = "") -> bytes:
    return f'<?xml version="1.0"?>{before}<net name="n"><layers>{layers}</layers><edges>{edges}</edges></net>'.encode()


def read(**parts: str) -> Graph:
    return read_graph(graph_text(**parts), NUMBERS)


def test_constants_and_edges_are_read() -> None:
    graph = read()
    total = graph.named("c")
    first, second = graph.source(total, 0, "Const"), graph.source(total, 1, "Const")
    assert graph.constant(first).read().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert graph.constant(second).read().tolist() == [0, 1]
    assert graph.reader(first, "Add") == total and list(graph.of("Const")) == [first, second]
    assert "b" in graph and "d" not in graph


def test_a_constant_of_no_axes_is_one_number() -> None:
    layers = '<layer id="7" name="a" type="Const"><data element_type="i64" shape="" offset="32" size="8"/></layer>'
    assert read(layers=layers, edges="").constant(7).read() == 1


ENTITIES = '<!DOCTYPE net [<!ENTITY a "1"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
HOSTILE = {
    "entities that multiply": (graph_text(CONST.replace('"2, 3"', '"&b;"'), before=ENTITIES), "a document type"),
    "an entity in another file": (
        graph_text(before='<!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
        "a document type",
    ),
    "a document type on another machine": (
        graph_text(before='<!DOCTYPE net SYSTEM "http://localhost/net.dtd">'),
        "a document type",
    ),
    "an entity that nobody declared": (graph_text(CONST.replace('"2, 3"', '"&b;"')), "not XML"),
    "a page of a web server": (b"<!doctype html><html><body>not found</body></html>", "web server"),
    "a page without a document type": (b"<html><body>not found</body></html>", "web server"),
    "nothing": (b"", "not XML"),
    "half a graph": (graph_text()[:200], "not XML"),
    "bytes that are no text": (b"\xff\xfe" + graph_text(), "not XML"),
    "no nodes": (graph_text("", ""), "no nodes"),
    "too large": (graph_text() + b" " * LARGEST_GRAPH, "at most"),
    "too deep": (graph_text("<a>" * DEEPEST + "</a>" * DEEPEST), "deep"),
    "too many nodes": (
        graph_text("".join(f'<layer id="{k}" name="{k}" type="Add"/>' for k in range(MOST_NODES + 1)), ""),
        "nodes",
    ),
    "two nodes of one name": (graph_text(CONST + CONST.replace('id="0"', 'id="1"'), ""), "have the name a"),
    "two nodes of one id": (graph_text(CONST + CONST.replace('name="a"', 'name="b"'), ""), "have the id 0"),
    "a node without a name": (graph_text('<layer id="0" type="Add"/>', ""), "without a name"),
    "a name of a thousand letters": (graph_text(CONST.replace('"a"', f'"{1000 * "a"}"'), ""), "characters"),
    "an edge to nowhere": (graph_text(edges=EDGES.replace('to-layer="2"', 'to-layer="9"')), "not both nodes"),
    "two edges to one input": (graph_text(edges=EDGES.replace('to-port="1"', 'to-port="0"')), "two edges"),
    "an edge without an end": (graph_text(edges='<edge from-layer="0"/>'), "to-layer"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_graphs_are_refused(case: str) -> None:
    text, reason = HOSTILE[case]
    with pytest.raises(RefusalError, match=re.escape(reason)):
        read_graph(text, NUMBERS)


CLAIMS = {
    'offset="0"': {'offset="20"': "should end at byte 44", 'offset="-4"': "offset", 'offset="9e9"': "offset"},
    'size="24"': {'size="20"': "needs 24 bytes", 'size="99999999999999"': "size", "": "size"},
    'shape="2, 3"': {
        'shape="2, -3"': "shape",
        'shape="2, 99999999999"': "needs",
        'shape="?, 3"': "shape",
        'shape="1,1,1,1,1,1,1,2,3"': "axes",
    },
    'element_type="f32"': {'element_type="f64"': "'f64'", 'element_type="object"': "'object'", "": "''"},
}


@pytest.mark.parametrize(("claim", "other"), [(claim, other) for claim in CLAIMS for other in CLAIMS[claim]])
def test_a_constant_that_does_not_fit_its_numbers_is_refused(claim: str, other: str) -> None:
    assert claim in LAYERS
    with pytest.raises(RefusalError, match=re.escape(CLAIMS[claim][other])):
        read(layers=LAYERS.replace(claim, other, 1))


def test_another_operation_is_refused() -> None:
    graph = read()
    total = graph.named("c")
    with pytest.raises(RefusalError, match="expected Convolution"):
        graph.source(total, 0, "Convolution")
    with pytest.raises(RefusalError, match="expected one"):
        graph.reader(graph.named("a"), "Multiply")
    with pytest.raises(RefusalError, match="expected a constant"):
        graph.constant(total)
    with pytest.raises(RefusalError, match="lacks d"):
        graph.named("d")
