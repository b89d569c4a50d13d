"""Publication: one immutable folder per run, which appears whole by one rename or not at all.

Nothing unfinished ever lies below `outputs/reports`, not under a hidden name either: DuckDB and polars do not skip
those. Folders are written in `outputs/.publishing`, on the same file system, and renamed once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.chain.inputs import units_of
from pipeline.chain.links import Chain, Link
from pipeline.domains import base
from pipeline.report import page
from pipeline.report.archive import (
    LATEST,
    PAGE,
    find_run,
    newest_report,
    published_runs,
    run_folder,
)
from pipeline.report.before import difference_to_before
from pipeline.report.by_face import face_scores
from pipeline.report.contents import contents_of, controls_among
from pipeline.report.controls import broken, control_checks
from pipeline.report.finding import VERSION, find, find_report, report_stage, run_id_of
from pipeline.report.judges import judge_errors, judges_table
from pipeline.report.method_differences import difference_tables
from pipeline.report.pictures import strips_of
from pipeline.report.workshop import input_digests, point_latest, publishing, write_publication
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.log_lines import LOG, note
from pipeline.storage.provenance import code_commit, machine_facts, package_versions
from pipeline.storage.run_log import PUBLISHED as PUBLISHED_AS
from pipeline.storage.run_log import read_log
from pipeline.storage.stages import Stage, building, read_manifest
from pipeline.tables.parquet import read_stage
from pipeline.tables.schemas import GALLERY, PUBLISHED, RUN_COLUMNS, RUNS, SCORES, SPREAD

__all__ = ["LATEST", "PAGE", "find_report", "find_run", "report_stage", "run_report"]

log = logging.getLogger("latentbench")

MACHINE_OF_STAGE = ("device", "device_name", "driver", "host", "processor", "system")  # what can change a number
TRAIN = "train"  # the stage whose manifest tells what a method learned


def run_report(
    settings: Settings, *, run_date: datetime | None = None, night: date | None = None, again: bool = False
) -> Path:
    """Publish the run's tables and page, and return their folder; one that is published already is returned.

    Every stage of the run must be published. `run_date` (with a time zone) dates the run and asks for one of that
    very date; `night` for the one of that night, which begins at midnight UTC; without either any published run of the
    same results will do. `again` publishes again in any case. Raises StageError (a stage is missing, the disk is full),
    CorruptShardError (a file of a stage or of the published run is damaged), BusyError (another process is publishing
    the same run).
    """
    chain = Chain(settings)
    stage = report_stage(chain)
    run_date = datetime.combine(night, time(), UTC) if night else run_date
    with building(stage, settings) as builder:
        found = None if again else find(settings, stage, run_date, night)
        if found is None:
            inputs = input_digests(stage, settings.outputs)
            run_id, dated = _new_run_id(settings.outputs, stage, run_date or builder.started)
            with publishing(settings.outputs, stage, run_folder(settings.outputs, run_id)) as folder:
                _fill(folder, chain, stage, inputs, run_id, dated, night)
            found = run_folder(settings.outputs, run_id)
            note(f"{PUBLISHED_AS}{run_id}")
            _check_clock(settings.outputs, found, run_date)
        point_latest(settings.outputs)
    return found


def _check_clock(outputs: Path, published: Path, run_date: datetime | None) -> None:
    """Warn if a run of this very moment is not the newest: somebody's clock is, or was, wrong."""
    newest = newest_report(outputs)
    if run_date is None and newest is not None and newest != published:
        log.warning(
            "This run is published as %s, but `%s` stays %s, whose date is later. Is the clock of this machine right?",
            published.name,
            LATEST,
            newest.name,
        )


def _new_run_id(outputs: Path, stage: Stage, moment: datetime) -> tuple[str, datetime]:
    """A run id that no folder has, and its date: the given one, or the first free second after it."""
    moment = moment.astimezone(UTC).replace(microsecond=0)
    while run_folder(outputs, run_id_of(stage, moment)).exists():
        moment += timedelta(seconds=1)
    return run_id_of(stage, moment), moment


# Writing


def _fill(
    folder: Path,
    chain: Chain,
    stage: Stage,
    inputs: dict[str, str],
    run_id: str,
    dated: datetime,
    night: date | None,
) -> None:
    """Write tables, page and manifest of a run into an empty folder."""
    record = _record(chain, stage, run_id, dated) | {"night": night.isoformat() if night else None}
    tables = {name: _held(chain, name, stages) for name, stages in chain.tables.items()}
    tables["scores"] = _stamped(chain, tables["scores"], run_id, dated)
    tables["runs"] = pa.Table.from_pylist([_encoded(record)], schema=RUNS)
    tables |= _compared(chain, tables)
    outputs = chain.settings.outputs
    strips = strips_of(
        read_stage(chain.stage("gallery", name), outputs, GALLERY) for name in chain.settings.method_names
    )
    before = difference_to_before(outputs, tables)
    html = page.render(contents_of(tables, strips, before), domain_summary=chain.card.summary)
    manifest = record | {"run_date": dated.isoformat(), "report_version": VERSION, "inputs": inputs}
    stamp = {"latentbench.run_id": run_id, "latentbench.commit": record["commit"]}
    lines = read_log(chain.settings)
    texts = {PAGE: html} | ({LOG: lines} if lines else {})
    files = {f"{name}.parquet": (tables[name], PUBLISHED[name]) for name in tables}
    write_publication(folder, files, texts, manifest, stamp)


def _held(chain: Chain, table: str, stages: Sequence[Stage]) -> pa.Table:
    """The rows of a published table that stages hold; of scores without the columns that publication adds."""
    schema = PUBLISHED[table]
    columns = [name for name in schema.names if name not in RUN_COLUMNS] if table == "scores" else None
    return pa.concat_tables(read_stage(stage, chain.settings.outputs, schema, columns) for stage in stages)


def _stamped(chain: Chain, scores: pa.Table, run_id: str, dated: datetime) -> pa.Table:
    """The scores of every method by every protocol, with the run that publishes them."""
    settings, rows = chain.settings, scores.num_rows
    tried = {method: _naming_candidates(chain, method) for method in settings.method_names}
    stamped = {
        "run_id": pa.array([run_id] * rows, pa.string()),
        "profile": pa.array([settings.experiment.profile] * rows, pa.string()),
        "run_date": pa.array([dated] * rows, SCORES.field("run_date").type),
        "naming_candidates": pa.array([tried[name] for name in scores.column("method").to_pylist()], pa.int64()),
    }
    known = scores.column_names
    columns = [stamped.get(name, scores.column(name) if name in known else None) for name in SCORES.names]
    return pa.table(columns, SCORES)


def _naming_candidates(chain: Chain, method: str) -> int | None:
    """How many signed directions were tried to name the method's; None where they had names."""
    learned = read_manifest(chain.stage("train", method), chain.settings.outputs).extra.get("facts", {})
    return learned.get("naming_candidates")


def _compared(chain: Chain, tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """What is computed at publication from the edits' columns: means by face, differences, ranks; and the judges."""
    settings, experiment = chain.settings, chain.settings.experiment
    scores, edits = tables["scores"].to_pandas(), tables["edits"].to_pandas()
    means = face_scores(tables["edits"], chain.card)
    units = units_of(read_stage(chain.stage("spread"), settings.outputs, SPREAD))
    judges = judges_table(chain.card, base.measured(settings.domain, settings.sources), edits, units)
    bootstrap = Bootstrap(experiment.comparison_samples, experiment.confidence, experiment.seed)
    errors = judge_errors(judges.to_pandas())
    compared = difference_tables(means.to_pandas(), scores, controls_among(settings.method_names), bootstrap, errors)
    for sentence in broken(control_checks(scores)):
        log.warning("A control does not score as expected. %s", sentence)
    return {**compared, "judges": judges, "face_scores": means}


def _record(chain: Chain, stage: Stage, run_id: str, dated: datetime) -> dict[str, Any]:
    """The row of RUNS, not yet encoded."""
    settings = chain.settings
    return {
        "run_id": run_id,
        "run_date": dated,
        "domain": settings.domain,
        "profile": settings.experiment.profile,
        "status": "complete",
        "fingerprint": stage.fingerprint,
        "settings": settings.as_json(),
        "weights": dict(chain.card.weights),
        "packages": package_versions(),
        "commit": code_commit(),
        "machine": machine_facts(settings.machine),
        "stages": _stage_records(chain),
        "n_latents": settings.experiment.n_latents,
        "n_faces": settings.experiment.n_faces,
        "faces": faces_in_words(settings),
        "n_steps": settings.experiment.n_steps,
        "edits_per_method": settings.experiment.edits_per_method,
    }


def faces_in_words(settings: Settings) -> str:
    """What the edited faces of a run are."""
    experiment = settings.experiment
    if not experiment.faces_sha256:
        return "sampled latents"
    return f"{experiment.n_faces:,} inverted photographs"


def _encoded(record: dict[str, Any]) -> dict[str, Any]:
    """A record with what is not a plain value as JSON text, as RUNS wants it."""
    return {
        key: json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
        for key, value in record.items()
    }


def _stage_records(chain: Chain) -> list[dict[str, Any]]:
    """Every stage of the run: its cost, where it was computed, and the earlier run that it was computed for."""
    outputs = chain.settings.outputs
    before: dict[tuple[str, str], str] = {}
    for run in published_runs(outputs):
        for line in run.manifest.get("stages", []):
            before.setdefault((str(line.get("fingerprint")), str(line.get("started"))), run.run_id)
    return [_stage_record(link, outputs, before) for link in chain.links]


def _stage_record(link: Link, outputs: Path, before: dict[tuple[str, str], str]) -> dict[str, Any]:
    manifest = read_manifest(link.stage, outputs)
    return {
        "stage": manifest.stage,
        "title": link.title,
        "group": link.method or manifest.label,
        "version": manifest.version,
        "fingerprint": manifest.fingerprint,
        "rows": manifest.rows,
        "started": manifest.started,
        "wall_seconds": manifest.wall_seconds,
        "work_seconds": round(sum(record.seconds for record in manifest.shards), 3),
        "commit": manifest.commit,
        **{name: manifest.machine.get(name, "") for name in MACHINE_OF_STAGE},
        "packages": {name: v for name, v in manifest.packages.items() if package_versions().get(name) != v},
        "reused_from": before.get((manifest.fingerprint, manifest.started)),
        "learned": manifest.extra if link.stage.name == TRAIN else {},
    }
