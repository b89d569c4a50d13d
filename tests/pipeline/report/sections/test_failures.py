"""Failures: counted as they are in the tables, with the reasons."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipeline.report.contents import contents_of
from pipeline.report.sections.failures import lost_faces, unreached
from pipeline.tables.schemas import MATCHED
from tests.builders import random_edits, random_run


def changed(rows: list[dict[str, Any]], **tables: pa.Table):
    return contents_of(random_run.tables() | {"matched": pa.Table.from_pylist(rows, MATCHED)} | tables)


def test_changes_that_were_not_reached_have_their_reasons() -> None:
    rows = random_edits.matched().to_pylist()
    own = [row for row in rows if row["method"] == "l2l" and row["level"] == 1.0]
    assert len(own) == 64
    for row in own[:16]:
        row |= {"reached": False, "unreached": "lost"}
    for row in own[16:24]:
        row |= {"reached": False, "unreached": "ceiling"}
    found = unreached(changed(rows))
    assert found.heads == ("weak", "ceiling", "lost", "not reached"), (
        "in the order of the reasons, without those unused"
    )
    shares = dict(found.rows)
    assert shares["l2l"] == (0, 8 / 64, 16 / 64, 24 / 64)
    assert shares["noop"] == (1, 0, 0, 1) and shares["interfacegan"] == (0, 0, 0, 0)


def test_other_levels_do_not_count() -> None:
    rows = random_edits.matched().to_pylist()
    for row in rows:
        if row["method"] == "l2l" and row["level"] != 1.0:
            row |= {"reached": False, "unreached": "lost"}
    assert dict(unreached(changed(rows)).rows)["l2l"][-1] == 0


def test_lost_faces_are_shares_of_all_images_of_an_attribute() -> None:
    edits = random_edits.edits()
    rows = edits.to_pylist()
    for row in rows:
        row["detected"] = not (row["method"] == "l2l" and row["attribute"] == "age" and row["step"] == 0)
    found = lost_faces(contents_of(random_run.tables() | {"edits": pa.Table.from_pylist(rows, edits.schema)}))
    shares = dict(found.rows)
    assert dict(zip(found.heads, shares["l2l"], strict=True)) == pytest.approx(
        {name: 0.2 if name == "age" else 0.025 if name == "mean" else 0.0 for name in found.heads}
    )
    assert set(shares["noop"]) == {0.0}
