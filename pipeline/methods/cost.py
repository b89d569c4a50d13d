"""The cost of a method: bytes of its trained files, and of its training in memory. No torch.

>>> from pipeline.methods.cost import linear_cost
>>> linear_cost(vectors=2).trained_bytes - linear_cost(vectors=1).trained_bytes  # 512 floats of 4 bytes
2048
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.attributes import NAMES
from pipeline.domains.microbatches import image_bytes
from pipeline.methods.bytes_taken import Cost
from pipeline.tables.fields import W_DIM

if TYPE_CHECKING:
    from pipeline.domains.base import DomainCard

FLOAT_BYTES = 4
FACTS_BYTES = 16 * 2**10  # of method.json and the headers of method.safetensors
ADAM = 3  # a weight and its two moments, in a checkpoint and in memory
GRADIENT_MAPS = 5  # an image keeps so many times `image_bytes` for its gradient; measured: 4.4 at 1024 px
CODES_AT_ONCE = 65_536  # the most training codes that a linear method copies at once


def linear_cost(vectors: int = len(NAMES), codes_at_once: int = CODES_AT_ONCE) -> Cost:
    """The cost of a number of vectors in W, by default one per attribute."""
    return Cost(vectors * W_DIM * FLOAT_BYTES + FACTS_BYTES, codes_at_once=codes_at_once)


def stepped_cost(weights: int, images_per_step: int = 0, image_bytes: int = 0) -> Cost:
    """The cost of a number of weights, trained by Adam."""
    learned = weights * FLOAT_BYTES
    return Cost(learned + FACTS_BYTES, ADAM * learned, images_per_step, image_bytes)


def gradient_bytes(card: DomainCard, tap: str = "") -> int:
    """Bytes that an image of the domain keeps for its gradient; with `tap`, its feature map after a block such as b16.

    For a block with another name, the whole image counts.
    """
    resolution = tap.removeprefix("b")
    if tap.startswith("b") and resolution.isdecimal():
        return GRADIENT_MAPS * image_bytes(int(resolution))
    return GRADIENT_MAPS * image_bytes(card.resolution, card.channels)


def layers_of(card: DomainCard) -> int:
    """The number of layers of a domain's generator: as its card says, else two per resolution from 4 px, minus two."""
    return card.layers or 2 * (card.resolution.bit_length() - 1) - 2
