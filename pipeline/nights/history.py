"""The nights that were published, as a series: one domain, one profile, one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.report.archive import check_report, published_runs
from pipeline.settings.experiment import INDIFFERENT
from pipeline.storage.fingerprint import digest
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import SCORES

SCORED = frozenset({"scores", "rescoring", "rating"})  # stages that hold scores


@dataclass(frozen=True)
class Night:
    """A published night."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def date(self) -> str:
        """The night, YYYY-MM-DD."""
        return str(self.manifest["night"])

    @property
    def run_id(self) -> str:
        """The run that it published."""
        return str(self.manifest["run_id"])

    @property
    def order(self) -> tuple[str, str]:
        """Nights by date; of one date, the run that was published later is the later one."""
        return self.date, self.run_id

    @property
    def name(self) -> str:
        """Domain and profile."""
        return f"{self.manifest['domain']}-{self.manifest['profile']}"

    @cached_property
    def series(self) -> tuple[str, str, str]:
        """Domain, profile and a digest of the protocol: only nights that have them in common are compared."""
        protocol = self.manifest.get("settings", {}).get("protocol", {})
        rules = {key: value for key, value in protocol.items() if key not in INDIFFERENT}
        return str(self.manifest["domain"]), str(self.manifest["profile"]), digest(rules)

    @cached_property
    def measured(self) -> dict[str, str]:
        """Method -> digest of the files of its scores: the same if it was not measured again, or to the same bits."""
        inputs = self.manifest.get("inputs", {})
        parts: dict[str, list[tuple[str, str]]] = {}
        for stage in self.manifest.get("stages", []):
            if stage.get("stage") in SCORED and stage.get("fingerprint") in inputs:
                parts.setdefault(str(stage["group"]), []).append((stage["stage"], inputs[stage["fingerprint"]]))
        return {method: digest(sorted(map(list, files))) for method, files in parts.items()}

    @cached_property
    def scores(self) -> pd.DataFrame:
        """SCORES of the night. Raises CorruptShardError."""
        check_report(self.folder, only=("scores.parquet",))
        return read_table(self.folder / "scores.parquet", SCORES).to_pandas()


def published_nights(outputs: Path) -> list[Night]:
    """Every night under the outputs folder, oldest first."""
    nights = [Night(run.folder, run.manifest) for run in published_runs(outputs) if run.manifest.get("night")]
    return sorted(nights, key=lambda night: night.order)


def night_of(outputs: Path, folder_name: str) -> Night | None:
    """The night that published that folder, None if it is none."""
    return next((night for night in published_nights(outputs) if night.folder.name == folder_name), None)


def measurements(nights: list[Night], method: str) -> list[Night]:
    """The nights of a series at which a method's scores were measured to new bits, oldest first."""
    found: list[Night] = []
    for night in nights:
        if method in night.measured and (not found or found[-1].measured[method] != night.measured[method]):
            found.append(night)
    return found
