"""Model cards: the JSON beside a weights file. Torch-free, so that planning can read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import StageError, WeightsError
from pipeline.storage.files import read_json

MEND = "Install latentbench again, or train the network: latentbench synthface train"


def read_card(path: Path, mend: str = MEND) -> dict[str, Any]:
    """The card of the weights file `path`. Raises WeightsError that says where a missing one belongs, and `mend`."""
    file = path.with_suffix(".json")
    try:
        card = read_json(file)
    except FileNotFoundError:
        raise WeightsError(f"Weights missing: expected {path.name} and {file.name} in {path.parent}. {mend}") from None
    except (ValueError, StageError) as error:
        raise WeightsError(f"{file} cannot be read as a card: {error}. {mend}") from error
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str):
        raise WeightsError(f"{file} is no card: expected an object with a sha256. {mend}")
    return card
