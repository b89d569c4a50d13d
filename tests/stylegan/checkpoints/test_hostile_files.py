"""Files that are no file, too large or torn, and zip archives that lie: each is refused, and nothing happens."""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stylegan.checkpoints.limits import LARGEST_FILE
from stylegan.generator import Generator
from tests.builders.checkpoint_files import (
    module,
    nvidia,
    rosinality,
    tensorflow,
)
from tests.checks.refusal import refuse

MIB = 2**20

pytestmark = pytest.mark.usefixtures("warm", "nothing_is_executed")


# Files


@pytest.mark.parametrize("form", [nvidia, tensorflow, rosinality, lambda g: rosinality(g, old=True)])
def test_truncated_files_are_refused(form: Callable[[Generator], bytes], generator: Generator) -> None:
    data = form(generator)
    for kept in [1, 2, 3, 10, 100, *range(1000, len(data), len(data) // 12), len(data) - 1]:
        assert refuse(data[:kept])


def test_links_folders_and_pipes_are_refused(generator: Generator) -> None:
    Path("real.pkl").write_bytes(nvidia(generator))
    Path("link.pkl").symlink_to("real.pkl")
    assert "symbolic link to 'real.pkl'" in refuse(Path("link.pkl"))
    Path("folder.pkl").mkdir()
    assert "Is a directory" in refuse(Path("folder.pkl"))
    os.mkfifo("pipe.pkl")
    assert "not a regular file" in refuse(Path("pipe.pkl"))
    assert "No such file" in refuse(Path("missing.pkl"))


def test_enormous_files_are_refused_unread() -> None:
    with open("enormous.pkl", "wb") as file:
        file.truncate(LARGEST_FILE + 1)  # takes no disk
    assert "at most 4,294,967,296 are read" in refuse(Path("enormous.pkl"))


# Zip archives


def rezipped(data: bytes, change: Callable[[zipfile.ZipFile], None]) -> bytes:
    """A file of torch.save, written again with an addition."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
        change(new)
    return file.getvalue()


def linked(archive: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("archive/data/link")
    member.external_attr = 0o120777 << 16
    archive.writestr(member, "/etc/passwd")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda z: z.writestr("../../executed", b"x"), "'../../executed', which would leave the archive's folder"),
        (lambda z: z.writestr("/executed", b"x"), "'/executed', which would leave the archive's folder"),
        (lambda z: z.writestr("archive/a\\..\\b", b"x"), "which would leave the archive's folder"),
        (linked, "'archive/data/link' that is a link or a device"),
        (lambda z: z.writestr("archive/data/999", bytes(MIB), zipfile.ZIP_DEFLATED), "compressed member"),
        (lambda z: z.writestr("other/data.pkl", b"N."), "more than one data.pkl"),
    ],
)
def test_members_of_zip_archives_are_checked(change: Any, reason: str, generator: Generator) -> None:
    assert reason in refuse(rezipped(rosinality(generator), change))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(generator: Generator) -> None:
    reason = refuse(rezipped(rosinality(generator), lambda z: z.writestr(z.namelist()[0], b"N.")))
    assert "two members named" in reason


def test_a_zip_bomb_of_overlapping_members_is_refused(generator: Generator) -> None:
    """All names lead to the same bytes: a small file that unpacks to a large one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"N.")
        archive.writestr("archive/data/0", bytes(MIB))
        first = archive.getinfo("archive/data/0")
        for index in range(1, 40):
            member = zipfile.ZipInfo(f"archive/data/{index}")
            for field in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(member, field, getattr(first, field))
            archive.filelist.append(member)
            archive.NameToInfo[member.filename] = member
    reason = refuse(file.getvalue())
    assert "members overlap" in reason or "damaged" in reason


def test_a_directory_of_gigabytes_is_not_read(generator: Generator) -> None:
    """The end of a zip archive states the size of its directory."""
    data = rosinality(generator) + bytes(8 * MIB)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 6 * MIB, len(data) - 6 * MIB, 0)
    assert "its directory has 6,291,456 bytes" in refuse(data + end, most_mib=8)


def test_storages_of_another_size_are_refused(generator: Generator) -> None:
    data = rosinality(generator)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, content[:-4] if "/data/" in member else content)
    assert "announced size" in refuse(file.getvalue())


def test_a_zip_that_is_no_torch_file_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "without a data.pkl" in refuse(file.getvalue())


def test_names_of_the_true_formats_cannot_be_imported() -> None:
    """The classes that the tests write are gone when the files are read."""
    with module("dnnlib.tflib.network"):
        pass
    assert "dnnlib" not in sys.modules and "torch_utils" not in sys.modules
