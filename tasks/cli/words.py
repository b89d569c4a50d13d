"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number and its noun, one of them or several: "1 stage", "2 stages"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
