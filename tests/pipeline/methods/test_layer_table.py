"""The table of layers: the authors' own copying at 18 layers and 16, and the same shares of any smaller depth."""

from __future__ import annotations

import pytest
import torch

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.methods.layer_table import kept_layers, layer_masks

# What the authors' main_attribute.py copies back from the unedited code, by their order of attributes.
COPIED = {
    "gender": [slice(8, None)],
    "glasses": [slice(None, 2), slice(4, None)],
    "yaw": [slice(4, None)],
    "pitch": [slice(4, None)],
    "baldness": [slice(6, None)],
    "beard": [slice(None, 5), slice(10, None)],
    "age": [slice(None, 4), slice(8, None)],
    "expression": [slice(None, 4), slice(6, None)],
}


@pytest.mark.parametrize("name", EVALUATED)
def test_eighteen_layers_are_the_authors(name: str) -> None:
    edited = torch.ones(18, dtype=torch.bool)
    for copied in COPIED[name]:
        edited[copied] = False
    assert torch.equal(layer_masks(18)[index_of(name)], edited)


@pytest.mark.parametrize("name", EVALUATED)
def test_sixteen_layers_are_the_first_of_eighteen(name: str) -> None:
    """MobileStyleGAN's codes at 1024 px are numbered as StyleGAN2's."""
    assert torch.equal(layer_masks(16)[index_of(name)], layer_masks(18)[index_of(name)][:16])


@pytest.mark.parametrize("depth", [1, 2, 6, 8, 10, 12, 14])
@pytest.mark.parametrize("name", EVALUATED)
def test_other_depths_keep_the_layers_that_the_scaled_span_touches(name: str, depth: int) -> None:
    """Layer l of `depth` spans the share [l, l + 1) / depth of the generator; compared in whole numbers."""
    full = [layer for layer, kept in enumerate(layer_masks(18)[index_of(name)]) if kept]
    first, end = full[0] * depth, (full[-1] + 1) * depth  # in 18ths of a layer
    touched = [layer for layer in range(depth) if 18 * (layer + 1) > first and 18 * layer < end]
    assert list(kept_layers(EVALUATED[name], depth)) == touched and touched


def test_attributes_outside_the_table_keep_all_layers() -> None:
    inside = {EVALUATED[name] for name in EVALUATED}
    masks = layer_masks(10)
    outside = [NAMES.index(name) for name in NAMES if name not in inside]
    assert outside and bool(masks[outside].all())
