"""What a run would do: which stages are there, which would be computed, how long that takes, disk and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pipeline.chain.links import Chain, Link
from pipeline.errors import ConfigError, StageError
from pipeline.execution.cluster import forget_failure, too_few_files, workers_for
from pipeline.execution.gpus import assigned, device_missing
from pipeline.execution.throughput import measured_seconds
from pipeline.planning.sizes import size_of
from pipeline.planning.whole import Whole, in_mib, whole
from pipeline.settings.paths import folder_to_be, unwritable_folder
from pipeline.storage.stages import STAGES, finished_shards, is_complete, read_manifest

THERE = "there"
PARTIAL = "partly there"
MISSING = "to compute"

FOLDERS = (STAGES, "reports", ".publishing")  # that a run makes under the outputs folder
SPARE = 16 * 2**20  # bytes that a run leaves free

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Planned:
    """One stage of a plan.

    `state` is THERE, PARTIAL or MISSING. `seconds` estimates the time still to compute from measured seconds per unit:
    None without a measurement, 0 for a stage that is there. `spent` is the time that a finished stage took, in seconds.
    `bytes_written` stay on disk; `peak_bytes` is the largest memory of one worker, `device_bytes` the part of it on its
    device (`sizes`); None where unknown.
    """

    stage: str
    method: str
    attribute: str
    title: str
    state: str
    units: int
    unit: str
    shards: int
    seconds: float | None
    spent: float | None
    folder: str
    bytes_written: int | None = None
    peak_bytes: int | None = None
    device_bytes: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The row, JSON-compatible."""
        return asdict(self)


@dataclass(frozen=True)
class Remaining:
    """Seconds of all missing stages together, and the titles of stages without measured seconds per unit."""

    seconds: float
    unknown: tuple[str, ...]


def plan(chain: Chain) -> tuple[Planned, ...]:
    """Every stage of a run. Files are checked against their sha256; a damaged one counts as to compute."""
    outputs = chain.settings.outputs
    measured = measured_seconds(outputs, chain.settings)
    return tuple(_planned(chain, link, measured) for link in chain.links)


def _planned(chain: Chain, link: Link, measured: dict[str, float]) -> Planned:
    outputs = chain.settings.outputs
    shards = finished_shards(link.stage, outputs)
    seconds: float | None
    spent: float | None = None
    if is_complete(link.stage, outputs):
        state, seconds = THERE, 0.0
        spent = read_manifest(link.stage, outputs).wall_seconds
    else:
        state = PARTIAL if shards else MISSING
        seconds_per_unit = measured.get(f"{chain.settings.domain}/{link.throughput_label}")
        seconds = None if seconds_per_unit is None else seconds_per_unit * link.units
    size = size_of(chain.settings, chain.card, link.stage.name, link.units, link.method)
    return Planned(
        stage=link.stage.name,
        method=link.method,
        attribute=link.attribute,
        title=link.title,
        state=state,
        units=link.units,
        unit=link.unit,
        shards=shards,
        seconds=seconds,
        spent=spent,
        bytes_written=None if size is None else size.bytes_written,
        peak_bytes=None if size is None else size.peak_bytes,
        device_bytes=None if size is None else size.device_bytes,
        folder=str(link.stage.folder(outputs)),
    )


def condense(rows: Sequence[Planned]) -> tuple[Planned, ...]:
    """The plan with one row for all attributes of a method's stage that are in the same state."""
    groups: dict[tuple[str, ...], list[Planned]] = {}
    for row in rows:
        one_of_many = (row.stage, row.method, row.state) if row.attribute else (row.title, row.folder)
        groups.setdefault(one_of_many, []).append(row)
    return tuple(_joined(group) if len(group) > 1 else group[0] for group in groups.values())


def _joined(rows: list[Planned]) -> Planned:
    first = rows[0]
    return replace(
        first,
        title=f"{first.stage} {first.method}, {len(rows)} attributes",
        attribute=", ".join(row.attribute for row in rows),
        units=sum(row.units for row in rows),
        shards=sum(row.shards for row in rows),
        seconds=_total([row.seconds for row in rows], sum),
        spent=_total([row.spent for row in rows], sum),
        bytes_written=_total([row.bytes_written for row in rows], sum),
        peak_bytes=_total([row.peak_bytes for row in rows], max),
        device_bytes=_total([row.device_bytes for row in rows], max),
    )


def _total(values: list[Number | None], of: Callable[[list[Number]], Number]) -> Number | None:
    """The sum or the largest of the numbers; None if one of them is unknown."""
    known = [value for value in values if value is not None]
    return of(known) if len(known) == len(values) else None


def estimate(rows: Sequence[Planned]) -> Remaining:
    """The sum over the rows of a plan."""
    known = sum(row.seconds for row in rows if row.seconds is not None)
    return Remaining(known, tuple(row.title for row in rows if row.seconds is None))


def without_size(rows: Sequence[Planned]) -> tuple[str, ...]:
    """Titles of the stages of unknown size, which `size` counts as 0."""
    return tuple(row.title for row in rows if row.bytes_written is None)


def size(chain: Chain, rows: Sequence[Planned]) -> Whole:
    """Disk and memory of the whole run of a plan."""
    return whole(chain, [row.state != THERE for row in rows])


def folder_obstacle(outputs: Path) -> str:
    """Why a run cannot write under the outputs folder, and what to do; empty if it can."""
    for folder in (outputs, *(outputs / name for name in FOLDERS)):
        try:
            obstacle = unwritable_folder(folder_to_be(folder))
        except ConfigError as error:
            return str(error)
        if obstacle:
            return obstacle
    return ""


def disk_shortage(chain: Chain, needs: Whole) -> str:
    """Needed and free disk, and what to do, if the disk is too small for a run; empty if it is not.

    What a run needs is an estimate, so a tenth more, and SPARE bytes, must be free.
    """
    if not needs.bytes_to_write or needs.disk_needed * 1.1 + SPARE <= needs.disk_free:
        return ""
    return (
        f"The run would write about {in_mib(needs.disk_needed)}: expected a tenth more and {in_mib(SPARE)} free at "
        f"{chain.settings.outputs.absolute()}, found {in_mib(needs.disk_free)}. Make room (`latentbench gc` says what "
        "nobody needs), name another folder with --outputs, or ask for less (--profile, --method)."
    )


def memory_shortage(needs: Whole) -> str:
    """Needed and available memory, and what to do, if the memory is too small for a run; empty if it is not."""
    if needs.peak_bytes <= needs.memory:
        return ""
    return (
        f"The run would hold about {in_mib(needs.peak_bytes)} at once ({needs.workers} workers of up to "
        f"{in_mib(needs.worker_bytes)}), and this machine has {in_mib(needs.memory)} of memory. Take fewer workers "
        "(--workers), a GPU, or smaller batches of the methods that train through the generator."
    )


def check_machine(chain: Chain, rows: Sequence[Planned] | None = None) -> str:
    """Check, before anything is computed, whether this machine can do a run; return a warning, or nothing.

    `rows`: its plan, where that is made already: to look at every file takes time.

    Raises ConfigError for a GPU that is not there or too few open files; ClusterError if something is to compute and
    the Dask cluster of [machine] scheduler cannot do it; and StageError if nothing can be written there, or if the disk
    cannot hold what is to be written, unless [machine] check_disk is false.
    """
    machine = chain.settings.machine
    assigned(machine.devices)
    for lack in (device_missing(machine), too_few_files(machine)):
        if lack:
            raise ConfigError(lack)
    obstacle = folder_obstacle(chain.settings.outputs)
    if obstacle:
        raise StageError(f"{obstacle} Nothing was computed.")
    rows = plan(chain) if rows is None else rows
    found = size(chain, rows)
    shortage = disk_shortage(chain, found)
    if shortage and machine.check_disk:
        raise StageError(f"{shortage} Nothing was computed. `--set machine.check_disk=false` runs all the same.")
    if machine.uses_scheduler and any(row.state != THERE for row in rows):
        forget_failure()
        workers_for(machine)
    return shortage
