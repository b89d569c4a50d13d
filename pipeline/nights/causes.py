"""What changed between two measurements of a method: the likely cause of other scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.nights.history import Night

# A field of a stage's record -> how a sentence calls it, the likelier cause first.
OF_STAGES = {
    "driver": "driver",
    "device_name": "GPU",
    "device": "device",
    "processor": "processor",
    "host": "machine",
    "system": "system",
}
NOTHING = "nothing that is recorded changed: the same code, packages, weights and machine gave other numbers"
MOST = 4  # causes that a sentence names


def causes(before: Night, after: Night, method: str) -> list[str]:
    """What differs in the provenance of a method's scores, the likeliest cause first; `NOTHING` where nothing does."""
    versions = [_version(night, method) for night in (before, after)]
    found = [f"method version {versions[0]} -> {versions[1]}"] if versions[0] != versions[1] else []
    found += [*_settings(before, after, method), *_weights(before, after), *_stages(before, after, method)]
    return list(dict.fromkeys(found)) or [NOTHING]


def in_a_sentence(found: list[str]) -> str:
    """Causes as one text; further ones are counted."""
    more = len(found) - MOST
    return "; ".join(found[:MOST]) + (f"; and {more} more" if more > 0 else "")


def _version(night: Night, method: str) -> int:
    rows = night.scores
    return int(rows.loc[rows["method"] == method, "method_version"].max())


def _settings(before: Night, after: Night, method: str) -> Iterator[str]:
    """The method's settings that changed."""
    one, other = (night.manifest.get("settings", {}).get("methods", {}).get(method, {}) for night in (before, after))
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            yield f"setting {method}.{name} {_told(one, name)} -> {_told(other, name)}"


def _weights(before: Night, after: Night) -> Iterator[str]:
    one, other = (night.manifest.get("weights", {}) for night in (before, after))
    for role in sorted({*one, *other}):
        if one.get(role) != other.get(role):
            yield f"weights of {role} {str(one.get(role, 'none'))[:8]} -> {str(other.get(role, 'none'))[:8]}"


def _stages(before: Night, after: Night, method: str) -> Iterator[str]:
    """What differs between the stages that were measured again: their versions first, the commit last."""
    pairs = list(_measured_again(before, after, method))
    for one, other in pairs:
        if one.get("version") != other.get("version"):
            yield f"version of {other['stage']} {one.get('version')} -> {other.get('version')}"
    for one, other in pairs:
        yield from _differences(
            "package ", _packages(before.manifest, one), _packages(after.manifest, other), order=("torch", "numpy")
        )
    for field, noun in OF_STAGES.items():
        for one, other in pairs:
            if one.get(field, "") != other.get(field, ""):
                yield f"{noun} {one.get(field) or 'none'} -> {other.get(field) or 'none'}"
    for one, other in pairs:
        if one.get("commit") != other.get("commit"):
            yield f"commit {_short(one.get('commit'))} -> {_short(other.get('commit'))}"


def _measured_again(before: Night, after: Night, method: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The stages of the method, and of what all methods share, that are not the very same in both nights."""
    sides = []
    for night in (before, after):
        lines = [line for line in night.manifest.get("stages", []) if _concerns(line, method, night)]
        sides.append({str(line.get("title", line["stage"])): line for line in lines})
    for title, other in sides[1].items():
        one = sides[0].get(title)
        if one is not None and any(one.get(key) != other.get(key) for key in ("fingerprint", "started")):
            yield one, other


def _concerns(line: Mapping[str, Any], method: str, night: Night) -> bool:
    others = {*night.manifest.get("settings", {}).get("methods", {})} - {method}
    return str(line.get("group", "")) not in others and line.get("stage") not in ("timing", "gallery")


def _packages(manifest: Mapping[str, Any], stage: Mapping[str, Any]) -> dict[str, str]:
    """Package versions at the time of a stage: the run's, and where the stage had others, those."""
    return {**manifest.get("packages", {}), **stage.get("packages", {})}


def _differences(noun: str, one: Mapping[str, str], other: Mapping[str, str], order: tuple[str, ...]) -> Iterator[str]:
    names = sorted({*one, *other}, key=lambda name: (name not in order, name))
    for name in names:
        if one.get(name) != other.get(name):
            yield f"{noun}{name} {_told(one, name)} -> {_told(other, name)}"


def _told(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "none"


def _short(commit: Any) -> str:
    text = str(commit or "unknown")
    return text if text.startswith("release ") else text[:10] + ("+changes" if text.endswith("+changes") else "")
