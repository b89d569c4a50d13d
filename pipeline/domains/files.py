"""The files of a domain by role, their states, and what its scorers do not know. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.attributes import NAMES
from pipeline.weights.store import PRESENT, STAND_IN


@dataclass(frozen=True)
class File:
    """The file of one role and its state; of a network in several files, the first one.

    `state` is one of the states in `pipeline.weights.store`; `name` is the network's name in tables. `reason` states
    why the file is not present and what to do; it is empty for a present file. `card` is empty for published files.
    """

    role: str
    path: Path
    state: str
    name: str
    sha256: str
    card: dict[str, Any]
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether a run can use it: it is present, or a stand-in."""
        return self.state in (PRESENT, STAND_IN)


def left_out(found: Mapping[str, File]) -> dict[str, str]:
    """Attribute -> the scorers that do not know it, with the reasons, from the cards of scorers A and B."""
    reasons: dict[str, list[str]] = {}
    for role, title in (("scorer_a", "scorer A"), ("scorer_b", "scorer B")):
        card = found[role].card
        unknown = dict(card.get("left_out") or {})
        known = card.get("attributes", list(NAMES))
        for name in NAMES:
            if name in unknown or name not in known:
                reasons.setdefault(name, []).append(f"{title} left it out, {unknown.get(name, 'no reason given')}")
    return {name: " and ".join(texts) for name, texts in reasons.items()}
