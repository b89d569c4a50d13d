"""The regions of a method: what its training published, next to pictures of the gallery."""

from __future__ import annotations

import json
from dataclasses import replace

from pipeline.report.contents import Contents, contents_of
from pipeline.report.sections.regions import SECTION, method_regions
from tests.builders import random_run

FACTS = {
    "cluster_shares": [0.25, 0.75],
    "regions": [{"region": 1, "inside_over_outside": 3.5}],
    "naming": [
        {"attribute": "age", "label": "region 1, direction 2, layers 0-2"},
        {"attribute": "smile", "label": "region 0, direction 1, layers 0-2"},
    ],
}


def contents() -> Contents:
    runs = random_run.runs(stages=json.dumps([{"stage": "train", "group": "l2l", "learned": {"facts": FACTS}}]))
    strips = [
        replace(strip, regions=f"{strip.face_id} in colours".encode() if strip.method == "l2l" else None)
        for strip in random_run.strips()
    ]
    return contents_of(random_run.tables() | {"runs": runs}, tuple(strips))


def test_regions_have_their_shares_and_the_directions_of_edited_attributes() -> None:
    (found,) = method_regions(contents())
    assert found.method == "l2l" and [region.share for region in found.regions] == [0.25, 0.75]
    assert [region.inside_over_outside for region in found.regions] == [None, 3.5]
    assert [region.names for region in found.regions] == [(), (("age", "direction 2, layers 0-2"),)]


def test_each_face_is_shown_once() -> None:
    (found,) = method_regions(contents())
    assert [(face, painted) for face, _, painted in found.faces] == [
        (256000, b"256000 in colours"),
        (256001, b"256001 in colours"),
    ]


def test_a_run_of_methods_without_regions_has_no_such_section() -> None:
    assert SECTION.values(contents_of(random_run.tables())) == {}
