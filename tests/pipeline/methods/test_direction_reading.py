"""Files of directions: the forms that people have, and files that must not be read."""

from __future__ import annotations

import io
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from pipeline.errors import ConfigError
from pipeline.methods.direction_reading import read_directions

AGE = np.linspace(-1, 1, 512).astype(np.float32)
YAW = np.cos(AGE)
LAYERED = np.outer(np.arange(1, 19), AGE).astype(np.float32)  # (18, 512), as stylegan2 directions are
MIB = 2**20


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def pt(content: object, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def tensors(**arrays: np.ndarray) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


LONE = {
    "boundary.npy": npy(AGE[None]),  # InterFaceGAN's
    "float64.npy": npy(AGE.astype(np.float64)),
    "fortran.npy": npy(np.asfortranarray(AGE[None])),
    "big-endian.npy": npy(AGE.astype(">f4")),
    "tensor.pt": pt(torch.from_numpy(AGE)),
    "old.pt": pt(torch.from_numpy(AGE[None]), _use_new_zipfile_serialization=False),
    "parameter.pt": pt(torch.nn.Parameter(torch.from_numpy(AGE)[None, None])),
    "view.pt": pt(torch.from_numpy(LAYERED)[:1]),
    "repeated.npy": npy(np.tile(AGE, (18, 1))),  # encoder4editing's pose
    "lone.safetensors": save(tensors(direction=AGE)),
}


@pytest.mark.parametrize("name", LONE)
def test_one_vector_in_every_form(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(LONE[name])
    directions = read_directions(str(path), f"age: {path.stem}")
    assert list(directions.vectors) == ["age"]
    assert np.array_equal(directions.vectors["age"].numbers, AGE[None].astype(np.float64))


@pytest.mark.parametrize(
    "data", [npy(LAYERED), pt(torch.from_numpy(LAYERED)[None]), save(tensors(age=LAYERED))], ids=["npy", "pt", "st"]
)
def test_a_vector_for_each_layer(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "age.bin").write_bytes(data)
    vector = read_directions(str(tmp_path / "age.bin"), "").vectors["age"]
    assert np.array_equal(vector.numbers, LAYERED)
    assert vector.length == pytest.approx(np.sqrt((LAYERED.astype(float) ** 2).sum(axis=1).mean()))


def test_half_precision_is_read(tmp_path: Path) -> None:
    for kind in (torch.float16, torch.bfloat16):
        rounded = torch.from_numpy(AGE).to(kind)
        for data in (pt(rounded), save({"age": rounded})):
            (tmp_path / "age").write_bytes(data)
            numbers = read_directions(str(tmp_path / "age"), "").vectors["age"].numbers
            assert np.array_equal(numbers[0], rounded.double().numpy())


@pytest.mark.parametrize("write", [pt, lambda content: save(content)], ids=["pt", "safetensors"])
def test_one_file_with_a_vector_for_each_attribute(write: Callable[[object], bytes], tmp_path: Path) -> None:
    path = tmp_path / "all"
    path.write_bytes(write(tensors(age=AGE, pose=YAW, smile=LAYERED, beauty=2 * AGE)))
    directions = read_directions(str(path), "yaw: pose")
    assert set(directions.vectors) == {"age", "yaw", "expression"}
    assert np.array_equal(directions.vectors["yaw"].numbers[0], YAW)
    assert set(directions.names) == {"age", "pose", "smile", "beauty"}


def test_a_folder_with_a_file_for_each_attribute(tmp_path: Path) -> None:
    (tmp_path / "age.npy").write_bytes(npy(AGE))
    (tmp_path / "pose.pt").write_bytes(pt(torch.from_numpy(YAW)))
    (tmp_path / "smile.safetensors").write_bytes(save(tensors(anything=LAYERED)))
    (tmp_path / "beauty.npy").write_bytes(b"of no attribute, so it is not read")
    directions = read_directions(str(tmp_path), "yaw: pose")
    assert {name: vector.file for name, vector in directions.vectors.items()} == {
        "age": "age.npy",
        "yaw": "pose.pt",
        "expression": "smile.safetensors",
    }
    assert "beauty" in directions.names


def test_a_path_with_the_attribute_in_it(tmp_path: Path) -> None:
    for name, vector in (("age", AGE), ("pose", YAW)):
        (tmp_path / f"stylegan_ffhq_{name}_w_boundary.npy").write_bytes(npy(vector[None]))
    directions = read_directions(f"{tmp_path}/stylegan_ffhq_{{attribute}}_w_boundary.npy", "yaw: pose")
    assert set(directions.vectors) == {"age", "yaw"}


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def bad(value: float) -> bytes:
    array = AGE.copy()
    array[7] = value
    return npy(array)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "a page of a web server": (b"<!DOCTYPE html>", "neither .npy"),
    "plain pickle": (pickle.dumps(AGE), "neither a zip archive nor an old file"),
    "pickle with code": (pickle.dumps(Code()), "posix.mkdir"),
    "torch with code": (pt({"age": Code()}), "posix.mkdir"),
    "old torch with code": (pt(Code(), _use_new_zipfile_serialization=False), "posix.mkdir"),
    "objects": (npy(np.array([Code()], dtype=object), allow_pickle=True), "Python objects"),
    "truncated npy": (npy(AGE)[:-1], "needs 2,048 bytes, and it has 2,047"),
    "truncated header": (npy(AGE)[:40], "header is damaged"),
    "longer than announced": (npy(AGE) + b"\0", "needs 2,048 bytes"),
    "truncated torch": (pt(torch.from_numpy(AGE))[:-100], "damaged"),
    "truncated safetensors": (save(tensors(age=AGE))[:-1], "damaged"),
    "header of 10 GB": ((10 * 2**30).to_bytes(8, "little") + b"{}", "header has 10,737,418,240 bytes"),
    "npy header of 4 GB": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", "header is damaged"),
    "npy header that is code": (b"\x93NUMPY\x01\x00\x10\x00__import__('os')", "header is damaged"),
    "npy of 10 GB": (npy(AGE).replace(b"(512,), }", b"(9999999999,), }"), "needs 39,999,999,996 bytes"),
    "npy of another version": (b"\x93NUMPY\x03\x00" + npy(AGE)[8:], "version 3.0"),
    "npz": (b"PK\x03\x04" + bytes(26) + b"age.npy" + bytes(100), "unzip"),
    "integers": (npy(np.arange(512)), "expected floating-point numbers, found int64"),
    "complex": (npy(AGE.astype(complex)), "found complex128"),
    "texts": (npy(np.array(["a"] * 512)), "found <U1"),
    "booleans in torch": (pt(torch.ones(512, dtype=torch.bool)), "found bool"),
    "integers in safetensors": (save({"age": torch.arange(512)}), "found I64"),
    "another width": (npy(np.ones((18, 256), np.float32)), "it has the shape (18, 256)"),
    "one number": (npy(np.float32(1.0)), "it has the shape ()"),
    "two vectors in one": (npy(np.ones((2, 18, 512), np.float32)), "it has the shape (2, 18, 512)"),
    "too many layers": (npy(np.ones((65, 512), np.float32)), "it has the shape (65, 512)"),
    "no layers": (npy(np.ones((0, 512), np.float32)), "it has the shape (0, 512)"),
    "NaN": (bad(np.nan), "it has 1 infinite"),
    "infinite": (bad(np.inf), "it has 1 infinite"),
    "zero": (npy(0 * AGE), "it has zeros alone"),
    "a list": (pt([torch.ones(512)]), "expected a tensor or a dictionary"),
    "a number": (pt(5), "expected a tensor or a dictionary"),
    "no tensors": (pt({"age": 5}), "found no array with a name"),
    "no attribute": (pt(tensors(beauty=AGE, width=YAW)), "found beauty, width"),
    "one of several": (pt(tensors(age=AGE, yaw=0 * YAW)), "the vector of yaw has zeros alone"),
    "an attribute twice": (pt(tensors(smile=AGE, expression=YAW)), "expression and smile"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_cannot_be_a_direction_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, reason = HOSTILE[name]
    path = tmp_path / "age.npy"
    path.write_bytes(data)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as refused:
            read_directions(str(path), "")
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
    assert str(path) in str(refused.value) and reason in str(refused.value)
    assert not list((tmp_path / "here").iterdir())  # nothing was executed


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    """Whatever bytes change, nothing but a ConfigError comes of it."""
    rng = np.random.default_rng(3)
    files = [*LONE.values(), pt(tensors(age=AGE, yaw=YAW)), save(tensors(age=AGE, yaw=YAW))]
    refused = 0
    for data in files * 20:
        damaged = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, min(len(data), 300), size=rng.choice([1, 2, 5, 20]))
        damaged[places] = rng.integers(0, 256, size=len(places))
        (tmp_path / "age").write_bytes(damaged.tobytes())
        try:
            read_directions(str(tmp_path / "age"), "")
        except ConfigError:
            refused += 1
    assert refused > 100


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "age.npy").mkdir()
    with open(tmp_path / "huge.npy", "wb") as file:
        file.truncate(10 * 2**30)
    for name in ("pipe", "huge.npy", "missing.npy", "age.npy", "nul\0.npy"):
        with pytest.raises(ConfigError, match="path: "):
            read_directions(str(tmp_path / name), "")
    with pytest.raises(ConfigError, match=r"age\.npy"):  # a folder in the place of a file
        read_directions(str(tmp_path), "")


def test_a_name_of_the_file_is_shown_in_plain_characters(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(save(tensors(**{"\x1b[31mred": AGE, "b": YAW})))
    with pytest.raises(ConfigError) as refused:
        read_directions(str(tmp_path / "x"), "")
    assert "?[31mred" in str(refused.value)


def test_nothing_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.npy").write_bytes(npy(AGE))
    with pytest.raises(ConfigError, match="names"):
        read_directions(str(tmp_path / "in"), "age: ../out")
