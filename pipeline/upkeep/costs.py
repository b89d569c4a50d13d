"""What published runs cost, and what takes the disk: from what runs record and from the sizes of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.report.archive import PublishedRun, published_runs
from pipeline.storage.manifests import is_finite
from pipeline.storage.stages import STAGES, find_stages
from pipeline.upkeep.garbage import size_and_change

# Kinds of stages whose rows are judged images, one each. Trainings and searches look at more, which nothing records.
ROWS_ARE_IMAGES = ("labels", "reference", "spread", "edits", "gallery", "matched", "rates")


@dataclass(frozen=True)
class RunCost:
    """What was computed for one published run; stages taken over from earlier runs cost nothing again.

    night: its date, empty for a run by hand. stages: how many were computed. work_seconds: of all workers together.
    images: rows of `ROWS_ARE_IMAGES`. bytes: of the report, and of the stages that were computed for it and lie there.
    """

    run_id: str
    night: str
    stages: int
    work_seconds: float
    images: int
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """The entry, JSON-compatible."""
        return asdict(self)


def run_costs(outputs: Path) -> list[RunCost]:
    """The cost of every published run, oldest first; a run that cannot be read is named in a warning."""
    lying = {
        (manifest.fingerprint, manifest.started): sum(record.bytes for record in manifest.shards)
        for manifest in find_stages(outputs)
    }
    return [_cost(run, lying) for run in published_runs(outputs)]


def _cost(run: PublishedRun, lying: Mapping[tuple[str, str], int]) -> RunCost:
    """The cost of a run. Lines of its manifest that are damaged count as nothing."""
    lines = {
        (str(line.get("fingerprint")), str(line.get("started"))): line
        for line in run.manifest.get("stages", [])
        if line.get("reused_from") is None
    }
    files = run.manifest["files"].values()
    return RunCost(
        run_id=run.run_id,
        night=str(run.manifest.get("night") or ""),
        stages=len(lines),
        work_seconds=round(sum(_number(line.get("work_seconds")) for line in lines.values()), 3),
        images=int(sum(_number(line.get("rows")) for line in lines.values() if line.get("stage") in ROWS_ARE_IMAGES)),
        bytes=int(sum(_number(record["bytes"]) for record in files)) + sum(lying.get(key, 0) for key in lines),
    )


def _number(value: Any) -> float:
    return float(value) if is_finite(value) else 0.0


def disk_by_kind(outputs: Path) -> dict[str, int]:
    """Bytes by kind of stage, then of the other folders and files under the outputs folder; links are not followed."""
    stages = outputs / STAGES
    others = [path for path in outputs.iterdir() if path != stages] if outputs.is_dir() else []
    named = [(path.name, path) for path in sorted(stages.glob("*"))]
    named += [(f"{path.name}/" if path.is_dir() else path.name, path) for path in sorted(others)]
    return {name: size_and_change(path)[0] for name, path in named if not path.is_symlink()}
