"""Files that want more than to be read: each is refused by what is wrong with it, and nothing happens."""

from __future__ import annotations

import io
import os
import pickle
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stylegan.checkpoints.limits import MOST_STEPS
from stylegan.checkpoints.reading import read_checkpoint
from stylegan.generator import Generator
from tests.builders.checkpoint_files import (
    SOURCE,
    nvidia,
    rosinality,
    rosinality_state,
    tensorflow,
)
from tests.checks.refusal import refuse

MIB = 2**20
pytestmark = pytest.mark.usefixtures("warm", "nothing_is_executed")


class Call:
    """Python's unpickler turns this into the result of a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def name(module_name: str, attribute: str) -> bytes:
    return f"c{module_name}\n{attribute}\n".encode()


def sized(code: int, size: int, width: int) -> bytes:
    return bytes([code]) + size.to_bytes(width, "little")


# Code


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("call", "named"),
    [
        (Call(os.system, "touch executed"), "system"),
        (Call(eval, "open('executed', 'w')"), "eval"),
        (Call(exec, "open('executed', 'w')"), "exec"),
        (Call(getattr, Call(__import__, "os"), "system"), "getattr"),
        (Call(subprocess.Popen, ["touch", "executed"]), "Popen"),
        (Call(torch.load, "other.pt"), "load"),
        (Call(pickle.loads, b"cos\nsystem\n."), "loads"),
        (Call(open, "executed", "w"), "open"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_calls_are_refused_by_name(call: Call, named: str, protocol: int) -> None:
    """At the top, and hidden among the settings of a network."""
    data = pickle.dumps(call, protocol)
    reason = refuse(data) if protocol >= 2 else refuse(b"\x80\x02" + data)
    assert re.search(rf"names '[\w.]+\.{named}'", reason)


@pytest.mark.parametrize("key", ["G_ema", "D", "training_set_kwargs", "extra"])
def test_calls_inside_a_true_snapshot_are_refused(key: str, generator: Generator) -> None:
    assert "names 'posix.system'" in refuse(nvidia(generator, **{key: {"x": [Call(os.system, "touch executed")]}}))


def test_calls_inside_other_formats_are_refused(generator: Generator) -> None:
    call = Call(os.system, "touch executed")
    assert "names 'posix.system'" in refuse(tensorflow(generator, settings={"x": call}))
    assert "names 'posix.system'" in refuse(rosinality(generator, args=call))
    assert "names 'posix.system'" in refuse(rosinality(generator, args=call, old=True))


def test_source_code_in_a_network_is_left_alone(generator: Generator) -> None:
    """The official reader would run the source that every true file carries; ours here touches a file."""
    Path("network.pkl").write_bytes(nvidia(generator))
    assert SOURCE.encode() in Path("network.pkl").read_bytes()
    checkpoint = read_checkpoint("network.pkl")
    assert checkpoint is not None and not Path("executed").exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x03(S'touch executed'\nios\nsystem\n.", "names 'os.system'"),
        (b"\x80\x03" + name("builtins", "getattr.__self__") + b".", "names 'builtins.getattr.__self__'"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "names 'builtins.eval'"),
        (b"\x80\x04K\x01K\x02\x93.", "a name that is no text"),
        (b"\x80\x03" + name("torch", "Size.__class__") + b".", "names 'torch.Size.__class__'"),
        (b"\x80\x03" + name("torch", "FloatStorage") + b"K\x05\x85R.", "calls 'torch.FloatStorage'"),
        (b"\x80\x03K\x01K\x02\x85R.", "calls a int"),
        (b"\x80\x03" + name("collections", "OrderedDict") + b"]R.", "with a list"),
        (b"\x80\x03" + name("collections", "OrderedDict") + b"(K\x01K\x02K\x03tR.", "with 3 arguments"),
        (b"\x80\x03" + name("collections", "OrderedDict") + b"}b.", "sets the state of a 'collections.OrderedDict'"),
        (b"\x80\x03" + name("torch._utils", "_rebuild_tensor_v2") + b"(NK\x00)))tR.", "makes a tensor of a NoneType"),
        (b"\x80\x03" + name("_codecs", "encode") + b"X\x01\x00\x00\x00xX\x03\x00\x00\x00rot\x86R.", "encodes a text"),
        (b"\x80\x02\x82\x01.", "extension registry"),
        (b"\x80\x04)}\x92.", "extension registry"),
        (b"\x80\x03P1\n.", "a persistent id"),
        (b"\x80\x09N.", "protocol 9"),
        (b"\x80\x03\xff.", "is 0xff, not a supported instruction"),
        (name("os", "system") + b".", "neither a pickle of NVIDIA's"),
        (b"", "it is empty"),
        (b"<html>not found</html>", "error page"),
    ],
)
def test_odd_instructions_are_refused(data: bytes, reason: str) -> None:
    assert reason in refuse(data)


def test_a_nested_torch_file_is_no_way_in(generator: Generator) -> None:
    """`_load_from_bytes` is Torch's own unrestricted reader; here it knows storages, and no further nesting."""

    def nested(content: Any) -> bytes:
        file = io.BytesIO()
        torch.save(content, file, _use_new_zipfile_serialization=False)
        return file.getvalue()

    load = torch.storage._load_from_bytes  # type: ignore[attr-defined]
    data = pickle.dumps({"G_ema": Call(load, nested(Call(os.system, "touch executed")))}, 4)
    assert "names 'posix.system'" in refuse(data)
    data = pickle.dumps({"G_ema": Call(load, nested(Call(load, nested(3))))}, 4)
    assert "names 'torch.storage._load_from_bytes'" in refuse(data)
    data = pickle.dumps({"G_ema": Call(load, nested([1, 2]))}, 4)
    assert "hides something" in refuse(data)


# Memory


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x04" + sized(0x8E, 2**60, 8) + b"x.", "truncated"),
        (b"\x80\x04" + sized(0x8D, 2**62, 8) + b"x.", "truncated"),
        (b"\x80\x05" + sized(0x96, 2**63, 8) + b"x.", "truncated"),
        (b"\x80\x03" + sized(ord("B"), 2**32 - 1, 4) + b"x.", "truncated"),
        (b"\x80\x03" + sized(ord("X"), 2**31, 4) + b"x.", "truncated"),
        (b"\x80\x04" + sized(0x95, 2**62, 8) + b"N.", "truncated"),
        (b"\x80\x03" + sized(0x8B, 2**31 - 1, 4) + b"1.", "an integer of"),
        (b"\x80\x03" + sized(0x8B, 2**32 - 1, 4) + b"1.", "an integer of"),
        (b"\x80\x03L" + b"9" * 900 + b"\n.", "too long"),
        (b"\x80\x03I" + b"9" * 5000 + b"\n.", "no line ends"),
        (b"\x80\x03" + b"}" * (MOST_STEPS + 9), "pickle instructions"),
        (b"\x80\x03j\xff\xff\xff\xff.", "recalls object 4294967295"),
    ],
)
def test_announced_sizes_take_no_memory(data: bytes, reason: str) -> None:
    assert reason in refuse(data, most_mib=80 if len(data) > MOST_STEPS else 4)


def test_a_large_memo_index_takes_no_memory() -> None:
    assert "no averaged generator" in refuse(b"\x80\x03Nr\xff\xff\xff\xff.")


def test_laughing_lists_are_never_walked(generator: Generator) -> None:
    """Sixty lists, each twice in the next, are 2**60 objects to whoever walks them; tuples, to whoever hashes them."""
    laughing: list[Any] = []
    for _ in range(60):
        laughing = [laughing, laughing]
    Path("network.pkl").write_bytes(nvidia(generator, extra=laughing))
    read_checkpoint("network.pkl")
    assert "has a tuple as a key" in refuse(b"\x80\x03})" + b"2\x86" * 60 + b"Ns.")
    assert "has a tuple as a key" in refuse(b"\x80\x04\x8f()" + b"2\x86" * 60 + b"\x90.")


def test_laughing_settings_are_not_written_out(generator: Generator) -> None:
    """A message that showed them would take 2**60 characters."""
    laughing: list[Any] = []
    for _ in range(60):
        laughing = [laughing, laughing]
    for place in ("mapping:c_dim", "synthesis.b8.conv1:conv_clamp", "mapping.fc0:weight_gain"):
        assert "is not imported" in refuse(nvidia(generator, changes={place: laughing}))
    assert "the setting label_size a list" in refuse(tensorflow(generator, settings={"label_size": laughing}))
    refuse(tensorflow(generator, version=laughing))


def test_many_tensors_of_the_same_bytes_take_no_memory() -> None:
    """Each of them is within the storage that all share."""
    torch.manual_seed(0)
    large = Generator(resolution=8, z_dim=256, w_dim=256, channels={4: 256, 8: 256}).requires_grad_(False)
    shared = torch.randn(256 * 256 * 9)
    state = {name: shared[: value.numel()].view(value.shape) for name, value in rosinality_state(large).items()}
    assert "they share the same data" in refuse(rosinality(large, g_ema=state))


def test_cycles_are_no_trap() -> None:
    """A list in itself; a network that is its own part."""
    assert "found a list" in refuse(b"\x80\x03]q\x00h\x00a.")
    meta = b"}X\x04\x00\x00\x00typeX\x05\x00\x00\x00classsX\x07\x00\x00\x00versionK\x06sX\x0a\x00\x00\x00class_name"
    meta += b"X\x09\x00\x00\x00Generators" + b"X\x05\x00\x00\x00state}q\x01s\x85R"
    head = b"\x80\x03" + name("torch_utils.persistence", "_reconstruct_persistent_obj")
    tail = b"q\x02h\x01X\x08\x00\x00\x00_modules}(X\x09\x00\x00\x00synthesish\x02X\x07\x00\x00\x00mappingh\x02us0."
    assert "nested without end, or too many" in refuse(head + meta + tail)


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "reason"),
    [
        ((2**20, 2**20), (0, 0), 0, "beyond the 4 numbers of its storage"),
        ((5,), (1,), 0, "beyond the 4 numbers"),
        ((2,), (1,), 3, "beyond the 4 numbers"),
        ((2,), (1,), -1, "invalid offset"),
        ((2,), (1, 1), 0, "invalid offset"),
        ((2,), (-1,), 3, "axis length"),
        ((-2, -2), (1, 1), 0, "axis length"),
        ((2.0,), (1,), 0, "axis length"),
        ((1,) * 100, (1,) * 100, 0, "is no shape"),
        ([4], (1,), 0, "is no shape"),
    ],
)
def test_tensors_that_claim_more_than_there_is(
    shape: Any, strides: Any, offset: int, reason: str, generator: Generator
) -> None:
    storage = torch.ones(4)._typed_storage()  # type: ignore[attr-defined]
    claim = Call(torch._utils._rebuild_tensor_v2, storage, offset, shape, strides, False, {})
    assert reason in refuse(nvidia(generator, extra=claim))


def test_arrays_that_claim_more_than_there_is(generator: Generator) -> None:
    data = tensorflow(generator, more=[("noise9", np.zeros((1, 1, 4, 4), "f4"))])
    shape = data.index(b"noise9")
    start = data.index(b"K\x04K\x04t", shape)
    assert "needs" in refuse(data[:start] + b"K\x04K\xfft" + data[start + 5 :])
