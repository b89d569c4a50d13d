"""The viewer: a face, an attribute, and every method's edits of it side by side, under one slider over the steps.

The page holds a strip of pictures for each method, attribute and face, and the scores under them once, as JSON.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.attributes import EVALUATED, get
from pipeline.report.charts import marks
from pipeline.report.contents import Contents, Strip
from pipeline.report.sections import PageSection
from pipeline.report.templates import data_uri

IDENTITY = "identity_recognizer_b"  # the recognizer that is in no training loss
DECIMALS = 3


def viewer(contents: Contents) -> dict[str, Any]:
    """What the viewer shows, JSON-compatible; empty for a run without pictures.

    attributes: [{name, unit, low, high}], faces: ids, methods: [{name, control, colour}], tile: pixels of a picture;
    unedited: face -> address of its picture. strips: attribute -> face -> [{method, pictures, start, steps}], where
    pictures is the address of one row of tiles and steps has [strength, value, identity distance, detected] for each.
    """
    if not contents.strips:
        return {}
    shades = marks.colours(contents)
    first = contents.strips[0]
    distances = _distances(contents.edits)
    shown = [name for name in contents.methods if any(strip.method == name for strip in contents.strips)]
    attributes = [name for name in contents.attributes if any(strip.attribute == name for strip in contents.strips)]
    unedited = {strip.face_id: strip.unedited for strip in contents.strips if strip.unedited is not None}
    return {
        "tile": first.tile,
        "attributes": [_attribute(name) for name in attributes],
        "faces": sorted({strip.face_id for strip in contents.strips}),
        "methods": [
            {"name": name, "control": name in contents.controls, "colour": shades.get(name, "gray")} for name in shown
        ],
        "unedited": {str(face): data_uri(picture) for face, picture in sorted(unedited.items())},
        "strips": _strips(contents, attributes, distances),
    }


def _attribute(name: str) -> dict[str, Any]:
    """An attribute with the unit and the ends of its values 0 and 1; no unit where they have none."""
    if name not in EVALUATED or get(name).unit == "1":
        return {"name": name, "unit": "", "low": 0.0, "high": 1.0}
    limits = get(name)
    return {"name": name, "unit": limits.unit, "low": limits.low, "high": limits.high}


def _distances(edits: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """The identity distance of every edit: (method, attribute, face, step) -> distance."""
    keys = edits[["method", "attribute", "face_id", "step"]].itertuples(index=False, name=None)
    return dict(zip(keys, edits[IDENTITY], strict=True))


def _strips(
    contents: Contents, attributes: list[str], distances: dict[tuple[Any, ...], float]
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    order = {name: place for place, name in enumerate(contents.methods)}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in attributes}
    for strip in sorted(contents.strips, key=lambda strip: order.get(strip.method, len(order))):
        if strip.attribute in found:
            found[strip.attribute].setdefault(str(strip.face_id), []).append(_strip(strip, distances))
    return found


def _strip(strip: Strip, distances: dict[tuple[Any, ...], float]) -> dict[str, Any]:
    steps = []
    for edit in strip.edits:
        distance = distances.get((strip.method, strip.attribute, strip.face_id, edit.step))
        known = None if distance is None or pd.isna(distance) else round(float(distance), DECIMALS)
        steps.append([round(edit.strength, DECIMALS), round(edit.value, DECIMALS), known, int(edit.detected)])
    start = None if strip.start_value is None else round(strip.start_value, DECIMALS)
    return {"method": strip.method, "pictures": data_uri(strip.pictures), "start": start, "steps": steps}


def _values(contents: Contents) -> dict[str, Any]:
    found = viewer(contents)
    return {"viewer": found} if found else {}


SECTION = PageSection(key="viewer", title="See the edits", order=20, template="viewer.html.j2", values=_values)
