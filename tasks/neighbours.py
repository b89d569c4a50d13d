"""Whether `pipeline` and `stylegan` are ours: their names are plain, and another project may have them too."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

OURS = ("pipeline", "stylegan")


def check_neighbours() -> None:
    """Raise ImportError where Python finds another project's package of the name of one of ours."""
    home = Path(__file__).resolve().parents[1]
    for name in OURS:
        spec = find_spec(name)
        folders = [Path(folder).resolve().parent for folder in (spec.submodule_search_locations or ())] if spec else []
        if home not in folders:
            origin = f"{spec.origin or folders[0]}" if spec else "nothing"
            raise ImportError(
                f"Latentbench lies in {home}, but for its package {name!r} Python finds {origin}. Take that folder out "
                "of PYTHONPATH, or work in another one."
            )
