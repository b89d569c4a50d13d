"""Measured seconds per unit of a stage on this machine, from which plans estimate times.

outputs/rates.json is only advice: if it is damaged or missing, runs continue and plans give no estimate.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import BusyError, StageError
from pipeline.settings.machine import Machine
from pipeline.settings.settings import Settings
from pipeline.storage.files import leftovers, read_json, write_json
from pipeline.storage.locks import locked
from pipeline.storage.manifests import is_finite

log = logging.getLogger("latentbench")

FILE = "rates.json"
WAIT = 60.0  # seconds; another run writes the file in an instant


def machine_key(machine: Machine) -> str:
    """A key for the machine settings on which measured seconds depend."""
    if machine.scheduler and machine.executor == "dask":
        return f"{machine.device}-{machine.scheduler}"
    if machine.executor == "inline":
        return f"{machine.device}-inline-{machine.threads}"
    if machine.devices:
        return f"{machine.device}-{len(machine.devices)} devices x{machine.threads}"
    return f"{machine.device}-{machine.workers}x{machine.threads}"


def settings_key(settings: Settings) -> str:
    """`machine_key`, and the precision of the networks where it is not full."""
    return " ".join((machine_key(settings.machine), *settings.experiment.rendering.values()))


def measured_seconds(outputs: Path, settings: Settings | None = None) -> dict[str, float]:
    """Seconds per unit by "DOMAIN/label": the last measurement with these settings, otherwise with any.

    A measurement on the same machine in another precision goes before one with other machine settings.
    """
    stored = _stored(outputs / FILE)
    rows = [(row["when"], key, label, row["seconds"]) for key, rates in stored.items() for label, row in rates.items()]
    exact, machine = (settings_key(settings), machine_key(settings.machine)) if settings is not None else ("", "")

    def closeness(row: tuple[str, str, str, float]) -> tuple[bool, bool, str]:
        return row[1] == exact, f"{row[1]} ".startswith(f"{machine} "), row[0]

    return {label: seconds for _, _, label, seconds in sorted(rows, key=closeness)}


def measured_as_set(settings: Settings) -> bool:
    """Whether anything was measured with these machine settings in this precision."""
    return settings_key(settings) in _stored(settings.outputs / FILE)


def store_seconds(settings: Settings, label: str, unit: str, units: float, seconds: float) -> None:
    """Store the seconds of the whole machine per unit, for `measured_seconds`."""
    row = {
        "seconds": seconds,
        "unit": unit,
        "units": units,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = settings.outputs / FILE
    try:
        with locked(path.with_name(f".{FILE}.lock"), f"{path} is being written", wait=WAIT, remedy="Is it alive?"):
            for leftover in leftovers(path.parent, FILE):  # of a killed run; only the lock's holder writes
                leftover.unlink(missing_ok=True)
            stored = _stored(path)
            stored.setdefault(settings_key(settings), {})[f"{settings.domain}/{label}"] = row
            write_json(path.parent, FILE, stored)
    except (BusyError, OSError, StageError) as error:
        log.warning("The measured seconds of %s were not stored in %s: %s", label, path, error)


def _stored(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The valid rows of the file by machine and label; empty for a damaged or missing file."""
    content: Any = {}
    with suppress(FileNotFoundError, ValueError, StageError):
        content = read_json(path)
    machines = content.items() if isinstance(content, dict) else ()
    return {
        key: {label: row for label, row in rates.items() if _is_row(row)}
        for key, rates in machines
        if isinstance(rates, dict)
    }


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("when"), str):
        return False
    return is_finite(row.get("seconds")) and row["seconds"] >= 0
