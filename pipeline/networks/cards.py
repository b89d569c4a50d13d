"""Model cards: the JSON file next to a weights file. Imports no torch, so that planning can read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import StageError, WeightsError
from pipeline.storage.files import read_json

REMEDY = "Install latentbench again, or train the network: latentbench synthface train"


def read_card(path: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """The card of the weights file `path`. Raises WeightsError, with the expected path and the `remedy`."""
    file = path.with_suffix(".json")
    try:
        card = read_json(file)
    except FileNotFoundError:
        raise WeightsError(
            f"Weights missing: expected {path.name} and {file.name} in {path.parent}. {remedy}"
        ) from None
    except (ValueError, StageError) as error:
        raise WeightsError(f"{file} cannot be read as a card: {error}. {remedy}") from error
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str):
        raise WeightsError(f"{file} is not a card: expected a JSON object with a sha256. {remedy}")
    return card
