"""Strips of edited pictures, by attribute and face."""

from __future__ import annotations

from typing import Any

from pipeline.attributes import EVALUATED, get
from pipeline.report.contents import Contents, Strip
from pipeline.report.sections import PageSection


def strips_by_attribute(contents: Contents) -> list[tuple[str, list[tuple[int, list[Strip]]]]]:
    """[(attribute, [(face id, its strips by method)])], in the order of the tables."""
    order = {name: place for place, name in enumerate(contents.methods)}
    result = []
    for attribute in contents.attributes:
        found = [strip for strip in contents.strips if strip.attribute == attribute]
        faces = sorted({strip.face_id for strip in found})
        by_face = [
            (face, sorted((s for s in found if s.face_id == face), key=lambda s: order.get(s.method, len(order))))
            for face in faces
        ]
        if by_face:
            result.append((attribute, by_face))
    return result


def reading(attribute: str, value: float) -> str:
    """A scorer's value in the attribute's own unit, such as "41 year"; empty where the unit is 1."""
    if attribute not in EVALUATED:
        return ""
    limits = get(attribute)
    if limits.unit == "1":
        return ""
    return f"{limits.low + value * (limits.high - limits.low):.0f} {limits.unit}"


def _values(contents: Contents) -> dict[str, Any]:
    strips = strips_by_attribute(contents)
    return {"strips": strips, "reading": reading} if strips else {}


SECTION = PageSection(
    key="strips",
    title="Edits",
    order=100,
    template="strips.html.j2",
    values=_values,
    links=lambda contents: [(f"strip-{attribute}", attribute) for attribute, _ in strips_by_attribute(contents)],
    links_in_line=True,
)
