"""The layers that an edit of an attribute keeps: StyleFlow's table, for a generator of any depth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.attributes import EVALUATED, NAMES

if TYPE_CHECKING:
    from torch import Tensor

PUBLISHED_DEPTH = 18  # layers of the 1024-pixel generator for which the table was made
# From this depth on, layers are as in the table's generator, without the last ones: MobileStyleGAN at 1024 px, or
# StyleGAN2 at 512 px. Smaller generators have the same features in earlier layers.
SAME_DEPTH = 16
# Attribute -> first and last layer that keep the edit (main_attribute.py of StyleFlow's authors).
STYLEFLOW: dict[str, tuple[int, int]] = {
    "gender": (0, 7),
    "glasses": (2, 3),
    "yaw": (0, 3),
    "pitch": (0, 3),
    "baldness": (0, 5),
    "beard": (5, 9),
    "age": (4, 7),
    "expression": (4, 5),
}
_BY_COLUMN = {EVALUATED[name]: span for name, span in STYLEFLOW.items()}


def kept_layers(attribute: str, depth: int) -> range:
    """Layers of a generator with `depth` layers that keep an edit of an attribute (its column's name).

    The span of the table is scaled by depth / 18 and rounded outward, for depths below 16; from there on it is the
    table's. No depth gives an empty span. An attribute that is not in the table keeps every layer.

    >>> kept_layers("age", 18), kept_layers("age", 16), kept_layers("age", 10)
    (range(4, 8), range(4, 8), range(2, 5))
    """
    if attribute not in _BY_COLUMN:
        return range(depth)
    first, last = _BY_COLUMN[attribute]
    if depth >= SAME_DEPTH:
        return range(first, last + 1)
    return range(first * depth // PUBLISHED_DEPTH, math.ceil((last + 1) * depth / PUBLISHED_DEPTH))


def layer_masks(depth: int, attributes: tuple[str, ...] = NAMES) -> Tensor:
    """Whether layer l keeps an edit of each attribute: (attributes, depth) bool."""
    import torch

    masks = torch.zeros(len(attributes), depth, dtype=torch.bool)
    for row, name in enumerate(attributes):
        kept = kept_layers(name, depth)
        masks[row, kept.start : kept.stop] = True
    return masks
