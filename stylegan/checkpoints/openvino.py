"""OpenVINO's intermediate representation: a graph in XML, and the numbers of its constants in a file next to it.

Read as data: the graph is never executed by OpenVINO. The XML may hold elements and attributes only; a document type
or an entity is refused before it is expanded. Each constant is a claim about bytes of the other file (offset, size,
element type, shape), which is compared with that file before any number is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

import numpy as np

from stylegan.checkpoints.inert import count
from stylegan.checkpoints.limits import MOST_AXES, RefusalError, check_name

LARGEST_GRAPH = 4 * 2**20
"""Bytes of the XML. The largest known graph has 425,183."""
MOST_NODES = 20_000
"""Nodes of a graph. The largest known graph has 940."""
DEEPEST = 8
"""Elements inside one another. OpenVINO's have six."""
TYPES = {"f32": "<f4", "f16": "<f2", "i64": "<i8", "i32": "<i4", "u8": "|u1", "boolean": "|u1"}
"""The element types that are read, and NumPy's names of them."""
CONSTANT = "Const"


@dataclass(frozen=True)
class Constant:
    """The numbers of a constant, which are not read yet: a view of the bytes of the .bin file."""

    data: memoryview
    kind: str
    """A NumPy type such as '<f4'."""
    shape: tuple[int, ...]

    def read(self) -> np.ndarray[Any, Any]:
        """The numbers in their stored type, in the shape `shape`."""
        return np.frombuffer(self.data, self.kind).reshape(self.shape)


@dataclass
class Node:
    """A node of the graph: an operation or a constant."""

    name: str
    operation: str
    settings: dict[str, str] = field(default_factory=dict)
    sources: dict[int, int] = field(default_factory=dict)
    """Number of an input -> id of the node that it comes from."""


class Graph:
    """The nodes of a graph, by id, and the numbers of its constants."""

    def __init__(self, nodes: dict[int, Node], data: bytes) -> None:
        self.nodes = nodes
        self._data = memoryview(data)
        self._ids: dict[str, int] = {}
        self._readers: dict[int, list[int]] = {}
        for number, node in nodes.items():
            if node.name in self._ids:
                raise RefusalError(f"two nodes of its graph have the name {node.name}")
            self._ids[node.name] = number
            for source in node.sources.values():
                self._readers.setdefault(source, []).append(number)

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def named(self, name: str) -> int:
        """The id of the node of that name. Raises RefusalError if there is none."""
        if name not in self._ids:
            raise RefusalError(f"its graph lacks {name}")
        return self._ids[name]

    def of(self, operation: str) -> Iterator[int]:
        """The ids of all nodes of an operation, in the order of the file."""
        return (number for number, node in self.nodes.items() if node.operation == operation)

    def reader(self, number: int, operation: str) -> int:
        """The only node that reads node `number` by this operation. Refuses none and several."""
        found = [k for k in self._readers.get(number, []) if self.nodes[k].operation == operation]
        if len(found) != 1:
            raise RefusalError(
                f"its graph has {len(found)} nodes {operation} after {self.nodes[number].name}, expected one"
            )
        return found[0]

    def source(self, number: int, index: int, *operations: str) -> int:
        """The node from which input `index` of node `number` comes. Raises RefusalError for another operation."""
        node = self.nodes[number]
        found = node.sources.get(index)
        operation = None if found is None else self.nodes[found].operation
        if found is None or operation not in operations:
            raise RefusalError(
                f"input {index} of {node.name} in its graph comes from {operation}, expected {' or '.join(operations)}"
            )
        return found

    def constant(self, number: int) -> Constant:
        """The numbers of a constant. Raises RefusalError unless type, shape, offset and size fit the .bin file."""
        node = self.nodes[number]
        if node.operation != CONSTANT:
            raise RefusalError(f"{node.name} of its graph is a {node.operation}, expected a constant")
        kind = node.settings.get("element_type", "")
        if kind not in TYPES:
            raise RefusalError(f"its constant {node.name} holds {kind[:20]!r}; this program reads {', '.join(TYPES)}")
        shape = _shape(node)
        offset, size = (_whole(node, key, node.settings.get(key, "")) for key in ("offset", "size"))
        needed = count(shape) * np.dtype(TYPES[kind]).itemsize
        if size != needed:
            raise RefusalError(f"its constant {node.name} of shape {shape} needs {needed:,} bytes and has {size:,}")
        if offset + size > len(self._data):
            raise RefusalError(
                f"its constant {node.name} should end at byte {offset + size:,}, the numbers at {len(self._data):,}"
            )
        return Constant(self._data[offset : offset + size], TYPES[kind], shape)


def read_graph(text: bytes, data: bytes) -> Graph:
    """The graph in the bytes of the XML, with the bytes of the .bin file. Every constant is checked.

    Raises RefusalError for anything else, and for sizes beyond the limits of this module.
    """
    if len(text) > LARGEST_GRAPH:
        raise RefusalError(f"its graph has {len(text):,} bytes; at most {LARGEST_GRAPH:,} are read")
    reader = _Reader()
    reader.read(text)
    graph = Graph(reader.nodes, data)
    for number in graph.of(CONSTANT):
        graph.constant(number)
    return graph


class _Reader:
    """Nodes and edges out of the events of the XML parser."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self._path: list[str] = []
        self._node: Node | None = None

    def read(self, text: bytes) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse_declaration
        parser.EntityDeclHandler = self._refuse_declaration
        parser.ExternalEntityRefHandler = self._refuse_declaration
        try:
            parser.Parse(text, True)
        except expat.ExpatError as error:
            raise RefusalError(f"its graph is not XML ({error}); it may be the page of a web server") from error
        if not self.nodes:
            raise RefusalError("its graph has no nodes: expected OpenVINO's XML, <net><layers><layer .../>")

    def _refuse_declaration(self, *_: object) -> int:
        raise RefusalError("its graph declares a document type or an entity, which no graph of OpenVINO does")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        if len(self._path) > DEEPEST:
            raise RefusalError(f"its graph has elements more than {DEEPEST} deep")
        if self._path == ["net", "layers", "layer"]:
            self._node = self._add(attributes)
        elif self._path == ["net", "layers", "layer", "data"] and self._node is not None:
            self._node.settings = attributes
        elif self._path == ["net", "edges", "edge"]:
            self._join(attributes)
        elif self._path[0] != "net":
            raise RefusalError(
                f"its graph begins with <{tag[:40]}>, expected <net>; it may be the page of a web server"
            )

    def _end(self, _: str) -> None:
        self._path.pop()

    def _add(self, attributes: dict[str, str]) -> Node:
        node = Node(check_name(attributes.get("name"), "a node of its graph"), attributes.get("type", "")[:40])
        number = _whole(node, "id", attributes.get("id", ""))
        if number in self.nodes:
            raise RefusalError(f"two nodes of its graph have the id {number}")
        if len(self.nodes) == MOST_NODES:
            raise RefusalError(f"its graph has more than {MOST_NODES:,} nodes, far more than any known network")
        self.nodes[number] = node
        return node

    def _join(self, attributes: dict[str, str]) -> None:
        edge = Node("an edge", "edge")
        keys = ("from-layer", "to-layer", "to-port")
        source, target, port = (_whole(edge, key, attributes.get(key, "")) for key in keys)
        if source not in self.nodes or target not in self.nodes:
            raise RefusalError(f"an edge of its graph joins {source} and {target}, which are not both nodes")
        if port in self.nodes[target].sources:
            raise RefusalError(f"two edges of its graph lead to input {port} of {self.nodes[target].name}")
        self.nodes[target].sources[port] = source


def _shape(node: Node) -> tuple[int, ...]:
    """The shape of a constant, such as '1, 512'; '' is a single number."""
    text = node.settings.get("shape", "")
    lengths = text.split(",") if text.strip() else []
    if len(lengths) > MOST_AXES:
        raise RefusalError(f"its constant {node.name} has {len(lengths)} axes; at most {MOST_AXES} are read")
    return tuple(_whole(node, "shape", length.strip()) for length in lengths)


def _whole(node: Node, key: str, text: str) -> int:
    """A whole number from 0 to 10**12 - 1, in decimal digits."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise RefusalError(f"{node.name} of its graph has {key} {text[:40]!r}, expected a whole number")
    return int(text)
