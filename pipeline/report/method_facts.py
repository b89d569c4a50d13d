"""What a page says of each method of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import LatentbenchError
from pipeline.report.charts import marks
from pipeline.report.contents import Contents


@dataclass(frozen=True)
class MethodFacts:
    """What the page says of a method; the texts are empty for one that is not registered here."""

    name: str
    version: int
    control: bool
    colour: str
    paper: str = ""
    venue: str = ""
    unit: str = ""
    supervision: str = ""
    space: str = ""
    parameters: str = ""
    candidates: int | None = None


def method_facts(contents: Contents) -> list[MethodFacts]:
    """Facts of every method of the run, in the order of the tables."""
    versions = contents.scores.groupby("method")["method_version"].max().to_dict()
    tried = contents.scores.groupby("method")["naming_candidates"].max().dropna().to_dict()
    settings = contents.run.settings.get("methods", {})
    shades = marks.colours(contents)
    return [
        MethodFacts(
            name=name,
            version=int(versions[name]),
            control=name in contents.controls,
            colour=shades[name],
            parameters=", ".join(f"{key} = {value}" for key, value in sorted(settings.get(name, {}).items())),
            candidates=int(tried[name]) if name in tried else None,
            **_registered(name, settings.get(name, {})),
        )
        for name in contents.methods
    ]


def _registered(name: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    from pipeline.methods import registry

    try:
        method = registry.get(name, parameters)
    except (LatentbenchError, ImportError):
        return {}
    return {
        "paper": method.paper.title,
        "venue": method.paper.venue,
        "unit": method.unit,
        "supervision": method.supervision,
        "space": method.space,
    }
