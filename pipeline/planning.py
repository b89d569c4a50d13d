"""What a run would do: which stages are there, which would be computed, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.chain import Chain, Link
from pipeline.compute import measured_rates
from pipeline.stages import finished_shards, is_complete, read_manifest

THERE = "there"
PARTIAL = "partly there"
MISSING = "to compute"


@dataclass(frozen=True)
class Planned:
    """One stage of a plan.

    `state` is one of THERE, PARTIAL, MISSING. `seconds` is the estimate of what is still to compute from measured
    rates, None where no rate was measured yet; of a stage that is there it is 0. `spent` is what it took then.
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

    def as_json(self) -> dict[str, Any]:
        """The row, JSON-compatible."""
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """Seconds that the missing stages take together, and titles of those whose rate is not known."""

    seconds: float
    unknown: tuple[str, ...]


def plan(chain: Chain) -> tuple[Planned, ...]:
    """Every stage of a run. Files are checked against their sha256: a damaged one counts as to compute."""
    outputs = chain.settings.outputs
    rates = measured_rates(outputs, chain.settings.machine)
    return tuple(_planned(chain, link, rates) for link in chain.links)


def _planned(chain: Chain, link: Link, rates: dict[str, float]) -> Planned:
    outputs = chain.settings.outputs
    shards = finished_shards(link.stage, outputs)
    seconds: float | None
    spent: float | None = None
    if is_complete(link.stage, outputs):
        state, seconds = THERE, 0.0
        spent = read_manifest(link.stage, outputs).wall_seconds
    else:
        state = PARTIAL if shards else MISSING
        rate = rates.get(f"{chain.settings.domain}/{link.rate}")
        seconds = None if rate is None else rate * link.units
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
        folder=str(link.stage.folder(outputs)),
    )


def condense(rows: Sequence[Planned]) -> tuple[Planned, ...]:
    """The plan with the attributes of one method's stage in one row, where they are in the same state."""
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
        seconds=_sum([row.seconds for row in rows]),
        spent=_sum([row.spent for row in rows]),
    )


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def estimate(rows: Sequence[Planned]) -> Estimate:
    """The sum over a plan's rows."""
    known = sum(row.seconds for row in rows if row.seconds is not None)
    return Estimate(known, tuple(row.title for row in rows if row.seconds is None))
