"""Publications are made in a folder that no reader looks at, and appear by one rename; the link to the newest run.

outputs/.publishing/FINGERPRINT-RANDOM    what is being made, or was when its process was killed
outputs/latest -> reports/run_id=...
"""

from __future__ import annotations

import glob
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import BusyError, StageError
from pipeline.report.archive import LATEST, PUBLISHING, REPORTS, newest_report
from pipeline.storage.files import FULL_DISK, file_sha256, sync, unwritable
from pipeline.storage.fingerprint import digest
from pipeline.storage.locks import held
from pipeline.storage.stages import MANIFEST, STAGES, Stage, read_manifest
from pipeline.tables.parquet import write_table
from pipeline.tables.schemas import FORMAT_VERSION

log = logging.getLogger("latentbench")

DEAD = "dead"  # begins the name of what nobody is making any more


@contextmanager
def publishing(outputs: Path, stage: Stage, target: Path) -> Iterator[Path]:
    """A folder elsewhere which becomes `target` when the block ends well, and vanishes otherwise.

    The caller holds the stage's lock. Leftovers of killed processes are removed. Raises StageError if it
    cannot be written.
    """
    workshop = outputs / PUBLISHING
    mark = stage.fingerprint[:16]
    temporary = workshop / f"{mark}-{uuid.uuid4().hex}"
    try:
        workshop.mkdir(parents=True, exist_ok=True)
        _clean(outputs, mark)
        temporary.mkdir()
        target.parent.mkdir(exist_ok=True)
        yield temporary
        for path in temporary.iterdir():
            sync(path)
        sync(temporary)
        os.rename(temporary, target)
        sync(target.parent)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise unwritable(target, error) from error
        raise StageError(
            f"The disk is full: {target.name} could not be written to {workshop}. Nothing was published. "
            "Make room and run again; everything that is computed is kept."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def input_digests(stage: Stage, outputs: Path) -> dict[str, str]:
    """By fingerprint, a digest of the files that each stage of the report has published now. Raises StageError."""
    manifests = {part.fingerprint: read_manifest(part, outputs) for part in stage.upstream}
    return {
        fingerprint: digest([[record.name, record.sha256] for record in manifest.shards])
        for fingerprint, manifest in manifests.items()
    }


def write_publication(
    folder: Path,
    tables: Mapping[str, tuple[pa.Table, pa.Schema]],
    texts: Mapping[str, str],
    record: Mapping[str, Any],
    stamp: Mapping[str, str],
) -> None:
    """Write tables and texts into an empty folder, and the manifest that names each file with its size and sha256.

    tables: file name -> rows and schema; `stamp` joins each file's metadata. texts: file name -> the page's HTML, and
    the run's log. record: the manifest's other fields.
    """
    rows = {name: write_table(table, schema, folder / name, metadata=stamp) for name, (table, schema) in tables.items()}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = {
        name: {"rows": rows.get(name), "bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
        for name in (*rows, *texts)
    }
    manifest = {**record, "schema_version": FORMAT_VERSION, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def point_latest(outputs: Path) -> None:
    """Make outputs/latest point at the newest run, until no newer one appeared meanwhile; a warning if it cannot be."""
    while (newest := newest_report(outputs)) is not None:
        target = Path(REPORTS) / newest.name
        link = outputs / LATEST
        with suppress(OSError):
            if Path(os.readlink(link)) == target:
                return
        if link.exists() and not link.is_symlink():
            log.warning("%s is not a link, so it was left as it is; the newest run is %s.", link, newest)
            return
        temporary = outputs / PUBLISHING / f"{LATEST}-{uuid.uuid4().hex}"
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            temporary.symlink_to(target)
            os.replace(temporary, link)
            sync(outputs)
        except FileNotFoundError:  # another process took it for a leftover: once more
            continue
        except OSError as error:  # the run is published, and is found by its id
            log.warning("%s could not be made to point at %s: %s.", link, newest, error.strerror)
            return


def _clean(outputs: Path, own: str) -> None:
    """Remove unfinished publications that no process is making: a process that makes one holds its stage's lock."""
    workshop = outputs / PUBLISHING
    for path in sorted(workshop.iterdir()):
        mark = path.name.partition("-")[0]
        if mark == LATEST:
            path.unlink(missing_ok=True)
        elif mark in (own, DEAD):
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_dir():
            dead = workshop / f"{DEAD}-{uuid.uuid4().hex}"
            with suppress(BusyError, StageError, OSError), ExitStack() as locks:
                for folder in (outputs / STAGES).glob(f"*/*{glob.escape(mark)}"):
                    locks.enter_context(held(folder, folder.name, wait=0.0))
                path.rename(dead)  # at once: nobody waits for a lock that is held to look
            shutil.rmtree(dead, ignore_errors=True)
