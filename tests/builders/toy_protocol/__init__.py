"""A protocol made by docs/howto/own-protocol.md: how far the farthest edit of each face went.

`register` is what the recipe's one-line changes do to a checkout.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.chain import links
from pipeline.metrics import base as metrics
from pipeline.report import sections as page_sections  # `sections` is a folder of ours
from pipeline.tables import schemas
from tests.builders.toy_protocol import edits, scores
from tests.builders.toy_protocol.columns import FARTHEST

HERE = Path(__file__).parent


def register(patch: pytest.MonkeyPatch) -> None:
    """Make the lists of a checkout name the protocol; nothing else is touched."""
    kinds = (*links.KINDS, edits.KIND, scores.KIND)
    patch.setattr(links, "KINDS", kinds)  # pipeline/chain/links.py
    patch.setattr(links, "KIND", {kind.name: kind for kind in kinds})
    patch.setitem(schemas.PUBLISHED, "farthest", FARTHEST)  # pipeline/tables/schemas.py
    patch.setitem(metrics.BUILT_IN, "farthest_displacement", f"{__name__}.metric:FARTHEST_DISPLACEMENT")
    patch.setattr(page_sections, "__path__", [*page_sections.__path__, str(HERE / "sections")])  # a file in that folder
