"""The mean descriptors of generated faces, which centre the recognizers, in centres.json. Imports no torch.

Descriptors of faces lie to one side of the origin (`pipeline.networks.crops` has the sizes). A mean belongs to the
generator and to the recognizer that it was measured with, and is used with no other.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import WeightsError

FILE = Path(__file__).with_name("centres.json")
ROLES = ("recognizer_a", "recognizer_b")
COMMAND = "python -m pipeline.domains.photoface.measuring"


def centre_of(role: str, generator: str, recognizer: str) -> list[float]:
    """The mean descriptor by the recognizer of a role. `generator` and `recognizer` are the sha256 of their files.

    Raises WeightsError if the mean was not measured with these files.
    """
    found = _kept(FILE).get(role, {})
    if (found.get("generator"), found.get("recognizer")) != (generator, recognizer):
        raise WeightsError(
            f"{FILE.name} has no mean descriptor of {role} for these files of generator ({generator[:8]}...) and "
            f"recognizer ({recognizer[:8]}...). Measure it: {COMMAND}"
        )
    centre: list[float] = found["centre"]
    return centre


@cache
def _kept(path: Path) -> dict[str, dict[str, Any]]:
    """The file: role -> the mean, and the files with which it was measured; empty without the file."""
    kept: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    return kept


def keep(centres: dict[str, list[float]], generator: str, recognizers: dict[str, str], **sampling: float) -> None:
    """Write the file: means by role, the sha256 of the generator's files and of each recognizer's, and `sampling`."""
    facts = {
        role: {"generator": generator, "recognizer": recognizers[role], **sampling, "centre": centre}
        for role, centre in centres.items()
    }
    FILE.write_text(json.dumps(facts) + "\n")
    _kept.cache_clear()
