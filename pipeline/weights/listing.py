"""The state of weight files as rows for programs and as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.weights.store import Standing
from pipeline.weights.telling import in_bytes, in_size


def as_row(standing: Standing) -> dict[str, Any]:
    """One file as JSON: what the table says of it, and its state here. Unknown sizes and hashes are null."""
    weight = standing.weight
    return {
        "name": weight.name,
        "state": standing.state,
        "path": str(standing.path),
        "size": standing.size or None,
        "sha256": standing.sha256 or None,
        "partial": standing.partial or None,
        "told": standing.told or None,
        "file": weight.file,
        "url": weight.url,
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
    """A table: name, state, size, what the sha256 is compared with, file, user; the licences below it."""
    rows = [("name", "state", "size", "sha256", "file", "used by")]
    for standing in standings:
        weight = standing.weight
        state = f"{standing.state}, {in_bytes(standing.partial)} of it here" if standing.partial else standing.state
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


def _hash(standing: Standing) -> str:
    """The sha256 on disk, or else how much of it is published: "a205a346... published", "recorded when first here"."""
    weight = standing.weight
    if standing.sha256:
        return f"{standing.sha256[:12]}..."
    if weight.sha256:
        return f"{weight.sha256[:8]}... published"
    return f"{weight.sha256_start}... published" if weight.sha256_start else "recorded at first"
