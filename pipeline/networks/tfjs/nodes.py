"""The nodes of a TensorFlow.js graph: name, operation, inputs and checked attributes, as plain data."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import WeightsError

MOST_NODES = 2048
LARGEST_STEP = 64  # of a stride or a window


@dataclass(frozen=True)
class Node:
    """A node; `inputs` are names of nodes. `path` is the file, for messages. All methods raise WeightsError."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]
    path: Path

    def refuse(self, what: str) -> WeightsError:
        """The error for a node that cannot be built."""
        return WeightsError(f"{self.path}: node {self.name!r} ({self.op}) {what}")

    def attribute(self, key: str, kind: str, default: Any = None) -> Any:
        """The value of an attribute of a kind: s (text, in base64), i, b, list or shape."""
        held = self.attributes.get(key)
        if held is None and default is not None:
            return default
        if not isinstance(held, dict) or kind not in held:
            raise self.refuse(f"has no attribute {key!r} of kind {kind!r}, found {held!r:.80}.")
        return held[kind]

    def text(self, key: str, default: str | None = None) -> str:
        """A text attribute."""
        return default if default is not None and key not in self.attributes else self._text(self.attribute(key, "s"))

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        held = self.attribute(key, "list")
        items = held.get("s", []) if isinstance(held, dict) else None
        if not isinstance(items, list):
            raise self.refuse(f"has no list of texts {key!r}.")
        return [self._text(item) for item in items]

    def flag(self, key: str) -> bool:
        """A truth value; false if the attribute is missing."""
        return self.attribute(key, "b", default={}) is True

    def window(self, key: str) -> tuple[int, int]:
        """Height and width of a stride or window, given for the axes N, H, W, C; N and C must have 1."""
        held = self.attribute(key, "list")
        numbers = [self.whole(item) for item in held.get("i", [])] if isinstance(held, dict) else []
        if (
            len(numbers) != 4
            or numbers[0] != 1
            or numbers[3] != 1
            or not 1 <= min(numbers) <= max(numbers) <= LARGEST_STEP
        ):
            raise self.refuse(f"has {key} {numbers}; expected [1, height, width, 1], each from 1 to {LARGEST_STEP}.")
        return numbers[1], numbers[2]

    def whole(self, value: Any) -> int:
        """A whole number, which the format writes as a number or as text."""
        try:
            return int(value) if isinstance(value, str | int) and not isinstance(value, bool) else int("")
        except ValueError:
            raise self.refuse(f"holds {value!r:.40}; expected a whole number.") from None

    def _text(self, value: Any) -> str:
        try:
            return base64.b64decode(value, validate=True).decode()
        except (TypeError, ValueError, binascii.Error):
            raise self.refuse(f"holds {value!r:.40}; expected text in base64.") from None


def read_nodes(topology: Any, path: Path) -> dict[str, Node]:
    """The nodes of a `modelTopology` by name. Raises WeightsError."""
    items = topology.get("node") if isinstance(topology, dict) else None
    if not isinstance(items, list) or not 0 < len(items) <= MOST_NODES:
        raise WeightsError(f"{path} is not a graph model: expected 1 to {MOST_NODES} nodes under modelTopology.")
    nodes: dict[str, Node] = {}
    for item in items:
        node = _node(item, path)
        if node.name in nodes:
            raise node.refuse("occurs twice.")
        nodes[node.name] = node
    for node in nodes.values():
        for name in node.inputs:
            if name not in nodes:
                raise node.refuse(f"reads {name!r:.200}, which is no node.")
    return nodes


def _node(item: Any, path: Path) -> Node:
    item = item if isinstance(item, dict) else {}
    name, op, inputs, attributes = (item.get(key) for key in ("name", "op", "input", "attr"))
    if not isinstance(name, str) or not isinstance(op, str) or not name:
        raise WeightsError(f"{path}: expected a node with a name and an operation, found {item!r:.80}.")
    inputs, attributes = [] if inputs is None else inputs, {} if attributes is None else attributes
    if not isinstance(inputs, list) or not all(isinstance(text, str) for text in inputs):
        raise WeightsError(f"{path}: the inputs of node {name!r} are not a list of names.")
    if not isinstance(attributes, dict):
        raise WeightsError(f"{path}: the attributes of node {name!r} are not a JSON object.")
    return Node(name, op, tuple(text.removesuffix(":0") for text in inputs), attributes, path)
