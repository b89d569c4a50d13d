"""The result of an ablation: a table and a page, in a folder that appears whole by one rename.

    outputs/ablations/l2l-1a2b3c4d5e6f7a8b/{ablation.parquet, ablation.html, manifest.json}

The digest is over the stages and their files, so the folder never changes: other settings, code or files lead to
another one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.domains.base import describe
from pipeline.report.ablation.page import render
from pipeline.report.ablation.table import VERSION, VariantRun, ablation_stage, ablation_table
from pipeline.report.archive import ABLATIONS
from pipeline.report.workshop import input_digests, publishing, write_publication
from pipeline.settings.paths import is_bare_name
from pipeline.storage.files import file_sha256, read_json, unreadable
from pipeline.storage.fingerprint import digest
from pipeline.storage.provenance import code_commit, machine_facts, package_versions
from pipeline.storage.stages import MANIFEST, building
from pipeline.tables import schemas
from pipeline.tables.parquet import read_table

log = logging.getLogger("latentbench")

TABLE, PAGE = "ablation.parquet", "ablation.html"


def run_ablation(method: str, runs: Sequence[VariantRun]) -> Path:
    """Publish the table and the page of an ablation, and return their folder; one that is there already is returned.

    Every stage of every run must be published. Raises StageError (a stage is missing, the disk is full),
    CorruptShardError, BusyError (another process is publishing the same ablation).
    """
    settings = runs[0].settings
    stage = ablation_stage(method, runs)
    with building(stage, settings):
        inputs = input_digests(stage, settings.outputs)
        name = f"{method}-{digest([stage.fingerprint, inputs])[:16]}"
        target = settings.outputs / ABLATIONS / name
        if _is_whole(target):
            return target
        with publishing(settings.outputs, stage, target) as folder:
            _fill(folder, method, runs, {"fingerprint": stage.fingerprint, "inputs": inputs, "name": name})
    return target


def _is_whole(folder: Path) -> bool:
    """Whether a published folder is as it was written; a damaged one is set aside. Raises StageError if unreadable."""
    if not folder.is_dir():
        return False
    try:
        files = read_json(folder / MANIFEST)["files"]
        if files and all(
            is_bare_name(name) and file_sha256(folder / name) == record["sha256"] for name, record in files.items()
        ):
            return True
    except (FileNotFoundError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        pass
    except OSError as error:
        raise unreadable(folder, error) from error
    aside = folder.with_name(f"{folder.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    log.warning("%s is not as it was published. It is set aside as %s and made again.", folder, aside.name)
    folder.rename(aside)
    return False


def _fill(folder: Path, method: str, runs: Sequence[VariantRun], identity: dict[str, Any]) -> None:
    """Write table, page and manifest into an empty folder."""
    settings = runs[0].settings
    card = describe(settings.domain, settings.sources)
    table = ablation_table(method, runs)
    record = {
        **identity,
        "method": method,
        "domain": settings.domain,
        "profile": settings.experiment.profile,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": code_commit(),
        "settings": settings.as_json(),
        "variants": {run.variant.name: dict(run.variant.changes) for run in runs},
        "weights": dict(card.weights),
        "packages": package_versions(),
        "machine": machine_facts(settings.machine),
        "ablation_version": VERSION,
    }
    stamp = {"latentbench.ablation": identity["name"], "latentbench.commit": record["commit"]}
    html = render(table.to_pandas(), runs, record, domain_summary=card.summary)
    write_publication(folder, {TABLE: (table, schemas.ABLATION)}, {PAGE: html}, record, stamp)


def read_ablation(folder: Path) -> pd.DataFrame:
    """The table of a published ablation. Raises CorruptShardError."""
    return read_table(folder / TABLE, schemas.ABLATION).to_pandas()
