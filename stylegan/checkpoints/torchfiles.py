"""Reads both formats of `torch.save` without torch: zip archives (from 1.6) and consecutive pickles (before)."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from functools import partial
from typing import Any, NamedTuple

from stylegan.checkpoints.inert import Storage
from stylegan.checkpoints.instructions import load_pickle
from stylegan.checkpoints.limits import LARGEST_DIRECTORY, Budget, RefusalError
from stylegan.checkpoints.machine import PickleReader
from stylegan.checkpoints.names import TORCH_NAMES, length_prefix, storage_of
from stylegan.checkpoints.opening import ZIP_MAGIC

OLD_MAGIC = 0x1950A86A20F9469CFC6C
OLD_PROTOCOL = 1001
HEADER = 30
"""Bytes of a zip member's header, before the member's name."""
DAMAGED = (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, OverflowError)
"""Errors that `zipfile` raises for damaged archives."""


class OldFile(NamedTuple):
    """The content of a file in the format before torch 1.6."""

    content: Any
    end: int
    """Position of the first byte after it."""


def read_old(data: memoryview, budget: Budget) -> OldFile:
    """The object in a file of torch before 1.6; storages inside plain pickles have the same format.

    The file holds four pickles (magic number, version, facts about the machine, the object), a fifth with the keys of
    all storages, then for each key eight bytes with the storage's length, and its numbers.
    """
    storages: dict[str, Storage] = {}

    def find(reference: object) -> Storage:
        storage, key = storage_of(reference)
        known = storages.setdefault(key, storage)
        if (known.kind, known.length) != (storage.kind, storage.length):
            raise RefusalError(f"it describes the storage {key[:40]!r} in two ways")
        return known

    reader = PickleReader(data, TORCH_NAMES, budget)
    if load_pickle(reader) != OLD_MAGIC or load_pickle(reader) != OLD_PROTOCOL:
        raise RefusalError("it is neither a zip archive nor an old file of torch.save")
    machine = load_pickle(reader)
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise RefusalError("it was written on a machine of another byte order, or is damaged")
    reader.find = find
    content = load_pickle(reader)
    reader.find = None
    keys = load_pickle(reader)
    if type(keys) is not list or any(type(key) is not str for key in keys) or len(set(keys)) != len(keys):
        raise RefusalError("it is damaged: its list of storages is invalid")
    for key in keys:
        storage = storages.get(key)
        if storage is None:
            raise RefusalError(f"it is damaged: it holds a storage {key[:40]!r} that no tensor refers to")
        if length_prefix(reader.take(8)) != storage.length:
            raise RefusalError(f"it is damaged: the storage {key[:40]!r} has two different lengths")
        view = reader.take(storage.length * storage.item_size)
        storage.fetch = partial(_identity, view)
    return OldFile(content, reader.position)


def _identity(view: memoryview) -> memoryview:
    return view


def read_storage(data: memoryview, budget: Budget) -> Storage:
    """A storage that was pickled as the bytes of a file of torch."""
    storage, end = read_old(data, budget)
    if not isinstance(storage, Storage) or end != len(data):
        raise RefusalError("it is damaged, or hides something in place of a tensor's data")
    return storage


class _Guarded(io.BytesIO):
    """A file for `zipfile` that bounds each read to `most` bytes; `zipfile` reads as much as the file announces."""

    most = LARGEST_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.most:
            raise RefusalError(f"its directory has {size:,} bytes; at most {self.most:,} are read")
        return super().read(size)


def read_zip(data: bytes, budget: Budget) -> Any:
    """The object in a file of torch from 1.6 on: a zip archive with uncompressed members in one folder."""
    try:
        file = _Guarded(data)
        archive = zipfile.ZipFile(file)
        file.most = len(data)
        members = _check_members(archive, len(data))
        (pickled,) = [name for name in members if name.endswith("/data.pkl")] or [""]
        if not pickled:
            raise RefusalError("it is a zip archive without a data.pkl: not a file of torch.save")
        folder = pickled.removesuffix("data.pkl")
        order = members.get(f"{folder}byteorder")
        if order is not None and archive.read(order) != b"little":
            raise RefusalError("it was written on a machine of another byte order")
    except DAMAGED as error:
        raise RefusalError(f"its zip archive is damaged: {error}") from error
    content = _member(memoryview(data), members[pickled])
    views: dict[str, memoryview] = {}

    def fetch(key: str, member: zipfile.ZipInfo) -> memoryview:
        if key not in views:
            views[key] = _member(memoryview(data), member)
        return views[key]

    storages: dict[str, Storage] = {}

    def find(reference: object) -> Storage:
        storage, key = storage_of(reference)
        member = members.get(f"{folder}data/{key}")
        if member is None or member.file_size != storage.length * storage.item_size:
            raise RefusalError(
                f"it is damaged: the storage {key[:40]!r} is missing, or its size is not the announced size"
            )
        storage.fetch = partial(fetch, key, member)
        known = storages.setdefault(key, storage)
        return known if known.kind == storage.kind else storage

    reader = PickleReader(content, TORCH_NAMES, budget, find=find)
    return load_pickle(reader)


def _member(data: memoryview, member: zipfile.ZipInfo) -> memoryview:
    """The bytes of an uncompressed member, as a view of the archive: nothing is copied.

    They follow a header of 30 bytes, the member's name and an extra field. The header begins with ZIP_MAGIC, and its
    last four bytes are the lengths of name and extra field.
    """
    damage = f"its zip archive is damaged: the member {member.filename[:80]!r}"
    header = data[member.header_offset : member.header_offset + HEADER]
    if len(header) != HEADER or header[:4] != ZIP_MAGIC:
        raise RefusalError(f"{damage} has no header")
    first = member.header_offset + HEADER + sum(struct.unpack("<2H", header[-4:]))
    view = data[first : first + member.file_size]
    if len(view) != member.file_size:
        raise RefusalError(f"{damage} is truncated")
    if zlib.crc32(view) != member.CRC:
        raise RefusalError(f"{damage} does not match its checksum")
    return view


def _check_members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Members by name. Raises RefusalError for paths out of the folder, links, compression, encryption and bombs."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        shown = repr(name[:80])
        if not re.fullmatch(r"[\w.+=@ -]+(/[\w.+=@ -]+)*/?", name) or ".." in name.split("/"):
            raise RefusalError(f"its zip archive has a member named {shown}, which would leave the archive's folder")
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise RefusalError(f"its zip archive has a member {shown} that is a link or a device")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise RefusalError(f"its zip archive has a compressed member {shown}; torch.save does not compress")
        if member.flag_bits & 0x1:
            raise RefusalError(f"its zip archive has an encrypted member {shown}")
        if name in members:
            raise RefusalError(f"its zip archive has two members named {shown}")
        members[name] = member
    total = sum(member.file_size for member in members.values())
    if total > size:
        raise RefusalError(f"its zip archive unpacks to {total:,} bytes from {size:,}: members overlap")
    if sum(name.endswith("/data.pkl") for name in members) > 1:
        raise RefusalError("its zip archive has more than one data.pkl")
    return members
