"""The regions of methods that edit an image part by part: masks over faces, clusters, the directions with names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.methods.contrastive.llf_masks import COLOURS
from pipeline.report.contents import Contents
from pipeline.report.sections import PageSection


@dataclass(frozen=True)
class Region:
    """A region: its number from the top of the image, its colour in the pictures, its share of the pixels.

    inside_over_outside: how much more the region's directions change inside it than outside; None where not measured.
    names: the edited attributes whose direction is of this region, with the direction's label.
    """

    number: int
    colour: str
    share: float
    inside_over_outside: float | None
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MethodRegions:
    """The regions of one method, and [(face id, the face, the face under its regions)] as WebP."""

    method: str
    regions: tuple[Region, ...]
    faces: tuple[tuple[int, bytes, bytes], ...]


def method_regions(contents: Contents) -> list[MethodRegions]:
    """The regions of every method of the run that has some, by what its training published."""
    found = []
    for line in contents.run.stages:
        facts = (line.get("learned") or {}).get("facts") or {}
        if facts.get("cluster_shares"):
            method = str(line["group"])
            found.append(MethodRegions(method, _regions(contents, facts), _faces(contents, method)))
    return found


def _regions(contents: Contents, facts: dict[str, Any]) -> tuple[Region, ...]:
    measured = {int(one["region"]): one.get("inside_over_outside") for one in facts.get("regions", [])}
    regions = []
    for number, share in enumerate(facts["cluster_shares"]):
        names = [
            (one["attribute"], one["label"].removeprefix(f"region {number}, "))
            for one in facts.get("naming", [])
            if one["attribute"] in contents.attributes and one["label"].startswith(f"region {number},")
        ]
        colour = "rgb({}, {}, {})".format(*COLOURS[number % len(COLOURS)])
        regions.append(Region(number, colour, float(share), measured.get(number), tuple(names)))
    return tuple(regions)


def _faces(contents: Contents, method: str) -> tuple[tuple[int, bytes, bytes], ...]:
    shown: dict[int, tuple[int, bytes, bytes]] = {}
    for strip in contents.strips:
        if strip.method == method and strip.unedited is not None and strip.regions is not None:
            shown.setdefault(strip.face_id, (strip.face_id, strip.unedited, strip.regions))
    return tuple(shown.values())


def _values(contents: Contents) -> dict[str, Any]:
    found = method_regions(contents)
    return {"parted": found} if found else {}


SECTION = PageSection(key="regions", title="Regions of LLF", order=75, template="regions.html.j2", values=_values)
