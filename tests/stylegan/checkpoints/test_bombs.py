"""Small files that would take all memory: each is refused by its kind, within a few mebibytes."""

from __future__ import annotations

import codecs
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from stylegan.checkpoints import reading, torchfiles
from stylegan.checkpoints.inert import BFLOAT16, Storage, Tensor
from stylegan.checkpoints.limits import LONGEST_TEXT, CheckpointError
from stylegan.checkpoints.reading import read_checkpoint
from stylegan.distance import CHUNK, mean_distance
from stylegan.generator import Generator
from tests.builders.checkpoint_files import (
    Network,
    Persistent,
    make_generator,
    module,
    nvidia,
    pickled,
    rosinality,
    rosinality_state,
    tensorflow,
)
from tests.checks.refusal import MIB, refuse


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Read true files once: what reading imports by itself is imported then."""
    codecs.lookup("cp437")
    path = tmp_path_factory.mktemp("warm") / "network.pkl"
    for form in (nvidia, tensorflow, rosinality):
        path.write_bytes(form(make_generator(resolution=8)))
        read_checkpoint(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def text(content: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(content)) + content


@pytest.mark.parametrize("size", [LONGEST_TEXT, LONGEST_TEXT + 1], ids=["text", "long text"])
def test_a_text_that_becomes_bytes_again_and_again(size: int) -> None:
    """Eight thousand times 2 MiB."""
    head = b"\x80\x04c_codecs\nencode\nq\x00" + text(b"a" * size) + b"q\x01" + text(b"latin1") + b"q\x02000]("
    assert "uses the same texts repeatedly" in refuse(head + b"h\x00h\x01h\x02\x86R" * 8000 + b"e.", most_mib=8)


def test_a_module_of_many_tensors_under_many_names() -> None:
    """20,000 tensors under 1,000 names are 20,000,000 paths."""
    part = Persistent("ToRGBLayer", {"_parameters": OrderedDict.fromkeys(map(str, range(20_000)))}, {})
    many = Persistent("Generator", {"_modules": OrderedDict.fromkeys((f"m{k}" for k in range(1000)), part)}, {})
    root = Persistent("Generator", {"_modules": OrderedDict(synthesis=many, mapping=many)}, {})
    assert "its modules are nested without end, or too many" in refuse(pickled({"G_ema": root}), most_mib=16)
    few = Persistent("Generator", {"_modules": OrderedDict.fromkeys((f"m{k}" for k in range(100)), part)}, {})
    root = Persistent("Generator", {"_modules": OrderedDict(synthesis=few, mapping=few)}, {})
    assert "its generator has more than 4,000 tensors" in refuse(pickled({"G_ema": root}), most_mib=16)


def test_modules_of_long_names() -> None:
    """A name of 1 MB before each of 1,500 others."""
    leaf = Persistent("FullyConnectedLayer", {}, {})
    parts = OrderedDict.fromkeys((f"m{k}" for k in range(1500)), leaf)
    child = Persistent("Generator", {"_modules": parts}, {})
    empty = Persistent("Generator", {}, {})
    root = Persistent(
        "Generator", {"_modules": OrderedDict({"n" * MIB: child, "synthesis": empty, "mapping": empty})}, {}
    )
    assert "a module has a name of 1,048,576 characters; at most 200" in refuse(pickled({"G_ema": root}))
    root = Persistent("Generator", {"_modules": OrderedDict(synthesis=empty, mapping=empty)}, {})
    root.state["_parameters"] = OrderedDict({"n" * 1000: torch.nn.Parameter(torch.zeros(1))})
    assert "a tensor has a name of 1,000 characters" in refuse(pickled({"G_ema": root}))


def tensorflow_parts(variables: list[Any], parts: int) -> bytes:
    part = Network(name="G_synthesis", variables=variables)
    root = Network(name="Gs", build_func_name="G_main", components={f"part{k}": part for k in range(parts)})
    with module("dnnlib.tflib.network", Network=Network):
        return pickle.dumps((Network(), Network(), root), protocol=4)


def test_variables_of_long_names_in_many_parts() -> None:
    value = np.zeros(1, "f4")
    named = [("n" * MIB + str(k), value) for k in range(3)]
    assert "a variable has a name of 1,048,577 characters" in refuse(tensorflow_parts(named, 60), most_mib=8)
    many = [(f"n{k}", value) for k in range(1000)]
    assert "its generator has more than 4,000 tensors" in refuse(tensorflow_parts(many, 60), most_mib=16)
    assert "nested without end" in refuse(tensorflow_parts([], 20_000), most_mib=32)


def test_a_state_dict_of_many_tensors() -> None:
    generator = make_generator(resolution=8)
    state = rosinality_state(generator) | OrderedDict.fromkeys((f"t{k}" for k in range(5000)), torch.zeros(1))
    assert "its generator has more than 4,000 tensors" in refuse(rosinality(generator, g_ema=state), most_mib=16)


@pytest.mark.parametrize("widths", [{"z_dim": 8192, "w_dim": 1}, {"z_dim": 1, "w_dim": 8192}])
def test_a_wide_mapping_in_a_small_file(widths: dict[str, int], tmp_path: Path) -> None:
    """`mean_distance` would map 40,000 z of that width."""
    wide = Generator(resolution=4, channels={4: 1}, mapping_layers=1, **widths)
    state = {name: value.contiguous() for name, value in wide.state_dict().items()}
    path = tmp_path / "wide.safetensors"
    path.write_bytes(safetensors.torch.save(state))
    with pytest.raises(CheckpointError, match="class labels|must be a whole number from 1 to 4096, not 8192"):
        read_checkpoint(path)
    path.write_bytes(nvidia(wide))
    with pytest.raises(CheckpointError, match="must be a whole number from 1 to 4096, not 8192"):
        read_checkpoint(path)


def test_distances_are_measured_in_chunks_and_as_over_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = make_generator(resolution=8)
    pairs = 2 * CHUNK + 160
    w = generator.map_to_w(torch.randn(2 * pairs, generator.z_dim, generator=torch.Generator().manual_seed(7)))
    expected = float((w[:pairs] - w[pairs:]).norm(dim=1).mean())
    mapped: list[int] = []
    real = generator.map_to_w
    monkeypatch.setattr(generator, "map_to_w", lambda z: mapped.append(len(z)) or real(z))
    assert mean_distance(generator, pairs) == pytest.approx(expected, rel=1e-6)
    assert max(mapped) == CHUNK and sum(mapped) == 2 * pairs


def test_a_header_of_many_empty_tensors() -> None:
    entry = b'"t%07d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header = b"{" + b",".join(entry % k for k in range(40_000)) + b"}"
    assert "its header has" in refuse(struct.pack("<Q", len(header)) + header, most_mib=1)


def test_a_sparse_file_is_refused_unread(tmp_path: Path) -> None:
    """Half a gibibyte that takes no disk."""
    path = tmp_path / "sparse.pkl"
    with path.open("wb") as file:
        file.write(b"\x80\x04")
        file.truncate(512 * MIB)
    if path.stat().st_blocks * 512 > 256 * MIB:
        pytest.fail("this file system has no holes: nothing was tried")
    assert "are on the disk: the rest are holes" in refuse(Path("sparse.pkl"), most_mib=1)


def test_of_a_storage_only_the_part_of_a_tensor_is_widened() -> None:
    """A hundred views of one storage of 2 MiB in half the width: each is widened alone."""
    data = memoryview(np.arange(MIB, dtype="<u2").view("u1"))
    storage = Storage(BFLOAT16, MIB, lambda: data)
    tracemalloc.start()
    for place in range(100):
        part = Tensor(storage, place * 1000, (10, 5), (1, 10)).read()
        expected = torch.arange(place * 1000, place * 1000 + 50, dtype=torch.int16).view(torch.bfloat16).float()
        np.testing.assert_array_equal(part, expected.reshape(5, 10).T.numpy())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB, "all of it takes 4 MiB"


def test_a_member_is_checked_once_however_many_tensors_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = make_generator(resolution=8)
    state = rosinality_state(generator)
    shared = torch.cat([value.flatten() for value in state.values()])
    views, first = OrderedDict(), 0
    for name, value in state.items():
        views[name] = shared[first : first + value.numel()].view(value.shape)
        first += value.numel()
    checked: list[int] = []
    crc32 = torchfiles.zlib.crc32
    monkeypatch.setattr(torchfiles.zlib, "crc32", lambda view: checked.append(len(view)) or crc32(view))
    (tmp_path / "shared.pt").write_bytes(rosinality(generator, g_ema=views))
    found = read_checkpoint(tmp_path / "shared.pt").generator
    assert torch.equal(found.synthesis.b8.conv1.weight, generator.synthesis.b8.conv1.weight)
    assert len(checked) == 3  # data.pkl, what all share, and the average w


def test_a_member_whose_bytes_changed_is_refused(tmp_path: Path) -> None:
    generator = make_generator(resolution=8)
    data = bytearray(rosinality(generator))
    place = data.index(generator.synthesis.b8.conv1.weight.numpy().tobytes())
    data[place] ^= 1
    assert "checksum" in refuse(bytes(data))


def test_an_offset_beyond_any_file_is_refused() -> None:
    """zip64 has room for places of 64 bits."""
    data = bytearray(rosinality(make_generator(resolution=8)))
    place = data.index(b"PK\x06\x06") + 48  # where the directory begins, in the record of zip64
    data[place : place + 8] = struct.pack("<Q", 2**63)
    assert "its zip archive is damaged" in refuse(bytes(data))


def test_too_little_memory_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(data: bytes) -> Any:
        raise MemoryError

    monkeypatch.setattr(reading, "_find", exhausted)
    (tmp_path / "large.pkl").write_bytes(b"\x80")
    with pytest.raises(CheckpointError, match="too little memory"):
        read_checkpoint(tmp_path / "large.pkl")
