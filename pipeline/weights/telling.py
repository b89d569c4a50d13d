"""Texts on sizes and missing files, shared by errors, listings and the doctor."""

from __future__ import annotations

from pathlib import Path

from pipeline.weights.table import Weight


def in_mb(size: int) -> str:
    """A number of bytes in powers of 1,000 as text, as publishers of files give it.

    >>> in_mb(381_600_000), in_mb(4100), in_mb(12)
    ('381.6 MB', '4.1 kB', '12 bytes')
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def in_size(weight: Weight) -> str:
    """A file's size as text: exact, about, or not published."""
    if weight.size:
        return f"{weight.size:,} bytes"
    return f"about {in_mb(weight.size_about)}" if weight.size_about else "size not published"


def what_to_do(weight: Weight, path: Path) -> str:
    """How to get a missing file: from the network, or by hand."""
    bring = f"{weight.file} or {weight.archive.file}" if weight.archive else weight.file
    return (
        f"Fetch it: latentbench weights fetch {weight.name} (from {weight.url}, {in_size(weight)}). Without a network, "
        f"bring {bring} in a folder DIR: latentbench weights fetch {weight.name} --from DIR. It belongs at "
        f"{path}."
    )
