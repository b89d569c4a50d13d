"""A published run as one small file: its tables without the ones that have a row for every image, and no page.

`pack` writes it, `unpack` lays it down as a published run again, which everything reads; `latentbench compare` takes
the file itself. A table that is left out is there without rows. Every other file is the published one, byte for byte,
so the sha256 in the manifest are the ones of the run.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import CorruptShardError, StageError
from pipeline.report.archive import PREFIX, REPORTS, RUN_ID, check_report, find_run, read_report_manifest
from pipeline.settings.paths import is_bare_name
from pipeline.storage.files import file_sha256, sync, unreadable, write_alone
from pipeline.storage.stages import MANIFEST
from pipeline.tables.parquet import SUFFIX, write_table
from pipeline.tables.schemas import PUBLISHED

ENDING = ".tar.xz"
PER_IMAGE = ("edits", "matched", "rates", "consistency")  # tables with a row for every image, or nearly
LARGEST = 256 * 2**20  # bytes of an unpacked run


def pack(folder: Path, target: Path) -> list[str]:
    """Pack a published run into a file NAME.tar.xz, and return the names of the tables that are left without rows.

    The same run gives the same bytes. Raises StageError for another ending, CorruptShardError for a damaged run.
    """
    if not target.name.endswith(ENDING):
        raise StageError(f"A packed run is a file NAME{ENDING}, found {target}.")
    check_report(folder)
    manifest = read_report_manifest(folder)
    tables = [name for name in manifest["files"] if name.endswith(SUFFIX)]
    left_out = [name for name in tables if name.removesuffix(SUFFIX) in PER_IMAGE]
    with tempfile.TemporaryDirectory() as temporary:
        files = {name: folder / name for name in tables}
        records = {name: manifest["files"][name] for name in tables}
        for name in left_out:
            schema, path = PUBLISHED[name.removesuffix(SUFFIX)], Path(temporary) / name
            write_table(schema.empty_table(), schema, path, metadata={"latentbench.run_id": manifest["run_id"]})
            files[name] = path
            records[name] = {"rows": 0, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
        names = [name.removesuffix(SUFFIX) for name in left_out]
        packed = {**manifest, "files": records, "left_out": names}
        contents = {name: path.read_bytes() for name, path in sorted(files.items())}
    contents[MANIFEST] = (json.dumps(packed, indent=1, ensure_ascii=False) + "\n").encode()
    data = _archive(f"{PREFIX}{manifest['run_id']}", contents)
    write_alone(target, lambda opened: opened.write(data))
    return names


def _archive(top: str, contents: dict[str, bytes]) -> bytes:
    """A tar archive of files in one folder, compressed; without times and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return lzma.compress(buffer.getvalue(), preset=9)


def unpack(path: Path, outputs: Path) -> Path:
    """Lay a packed run down under outputs, and return its folder; one that lies there already is checked and returned.

    Raises CorruptShardError for a file that is no packed run or is damaged, StageError for one that cannot be read.
    """
    top, contents = _read(path)
    reports = outputs / REPORTS
    target = reports / top
    if not target.exists():
        outputs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=outputs, prefix=".unpacking-") as temporary:
            folder = Path(temporary) / top
            folder.mkdir()
            for name, data in contents.items():
                (folder / name).write_bytes(data)
                sync(folder / name)
            check_report(folder)
            reports.mkdir(exist_ok=True)
            folder.rename(target)
        sync(reports)
    check_report(target)
    return target


@contextmanager
def opened(outputs: Path, name: str) -> Iterator[Path]:
    """The folder of a run while the block lasts: of a packed one if `name` is such a file, else as `find_run` does."""
    if not name.endswith(ENDING):
        yield find_run(outputs, name)
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield unpack(Path(name).expanduser(), Path(temporary))


def _read(path: Path) -> tuple[str, dict[str, bytes]]:
    """The name of the run's folder, and the files in it by name: the manifest and the ones that it names."""
    try:
        data = _decompressed(path)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = {member.name: member for member in archive.getmembers() if member.isreg()}
            found = {name: archive.extractfile(member) for name, member in members.items()}
            contents = {name: opened.read() for name, opened in found.items() if opened is not None}
    except OSError as error:
        raise unreadable(path, error) from error
    except (lzma.LZMAError, tarfile.TarError, EOFError) as error:
        raise CorruptShardError(_fault(path, f"{error}")) from error
    tops = {name.partition("/")[0] for name in contents}
    top = tops.pop() if len(tops) == 1 else ""
    by_name = {name.partition("/")[2]: data for name, data in contents.items()}
    if not RUN_ID.match(top) or MANIFEST not in by_name or not all(map(is_bare_name, by_name)):
        raise CorruptShardError(_fault(path, f"expected one folder {PREFIX}... with its {MANIFEST}"))
    return top, by_name


def _decompressed(path: Path) -> bytes:
    """The bytes of the archive, LARGEST at most."""
    with lzma.open(path) as compressed:
        data: Any = compressed.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise CorruptShardError(_fault(path, f"it is larger than {LARGEST >> 20} MiB"))
    return bytes(data)


def _fault(path: Path, fault: str) -> str:
    return (
        f"{path} is no packed run: {fault}. Pack a published one: python -m benchmarks.reference OUTPUTS FILE{ENDING}"
    )
