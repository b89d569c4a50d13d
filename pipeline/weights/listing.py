"""Listings of weight files: JSON rows, and lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.weights.store import PRESENT, Standing
from pipeline.weights.table import groups
from pipeline.weights.telling import in_mb, in_size


def as_row(standing: Standing) -> dict[str, Any]:
    """One file as JSON: its entry in the table and its state in the folder. Unknown sizes and hashes are null."""
    weight = standing.weight
    return {
        "name": weight.name,
        "state": standing.state,
        "path": str(standing.path),
        "size": standing.size or None,
        "sha256": standing.sha256 or None,
        "partial": standing.partial or None,
        "told": standing.reason or None,
        "file": weight.file,
        "url": weight.url,
        "archive": weight.archive.file if weight.archive else None,
        "member": weight.member or None,
        "published_size": weight.size or None,
        "published_size_about": weight.size_about or None,
        "published_sha256": weight.sha256 or None,
        "published_sha256_start": weight.sha256_start or None,
        "evidence": weight.evidence or None,
        "licence": weight.licence,
        "domain": weight.domain,
        "role": weight.role,
        "used_by": weight.used_by,
    }


def as_lines(standings: Sequence[Standing]) -> list[str]:
    """A table with name, state, size, sha256, file and user, then the licences."""
    rows = [("name", "state", "size", "sha256", "file", "used by")]
    for standing in standings:
        weight = standing.weight
        state = f"{standing.state}, {in_mb(standing.partial)} of it here" if standing.partial else standing.state
        size = f"{standing.size:,} bytes" if standing.size else in_size(weight)
        rows.append((weight.name, state, size, _hash(standing), weight.file, weight.used_by))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    licences: dict[str, list[str]] = {}
    for standing in standings:
        licences.setdefault(standing.weight.licence, []).append(standing.weight.name)
    return [*lines, "", *(f"{licence}: {', '.join(names)}" for licence, names in licences.items())]


def group_lines(standings: Sequence[Standing]) -> list[str]:
    """The groups, one a line: name, number of files and how many of them are here."""
    lines = ["Groups, for fetch and verify:"]
    for group, weights in groups({standing.weight.name: standing.weight for standing in standings}).items():
        there = sum(standing.state == PRESENT for standing in standings if standing.weight in weights)
        size = sum(weight.size or weight.size_about for weight in weights)
        least = "at least " if any(not weight.size for weight in weights) else ""
        lines.append(f"  {group}: {len(weights)} files, {least}{in_mb(size)}; {there} present")
    return lines


def _hash(standing: Standing) -> str:
    """The start of the file's sha256; without a file, the published start, or "recorded at first" if there is none."""
    weight = standing.weight
    if standing.sha256:
        return f"{standing.sha256[:12]}..."
    if weight.sha256:
        return f"{weight.sha256[:8]}... published"
    return f"{weight.sha256_start}... published" if weight.sha256_start else "recorded at first"
