from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks.tfjs import weights
from pipeline.networks.tfjs.weights import read_weights
from tests.builders import tfjs_files


def test_every_stored_type(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    floats, halves = rng.normal(size=(2, 3)).astype("<f4"), rng.normal(size=4).astype("<f2")
    small, large = rng.integers(0, 256, (3, 1), dtype="u1"), rng.integers(0, 65536, 5, dtype="<u2")
    scaled = {"scale": 0.0123, "min": -1.5}
    files = tfjs_files.write(
        tmp_path,
        "net",
        {
            "floats": (floats, None),
            "small": (small, {"dtype": "uint8", **scaled}),
            "halves": (halves, {"dtype": "float16"}),
            "large": (large, {"dtype": "uint16", **scaled}),
            "whole": (np.array([-1, 1404], "<i4"), None),
            "one": (np.array(6, "<f4"), None),
        },
    )
    found = read_weights(*files)
    assert list(found) == ["floats", "small", "halves", "large", "whole", "one"]
    expected = {"floats": floats, "halves": halves.astype(np.float32), "one": np.float32(6)}
    expected |= {
        name: (stored * 0.0123 - 1.5).astype(np.float32) for name, stored in (("small", small), ("large", large))
    }
    for name, value in expected.items():
        assert found[name].dtype == torch.float32 and np.array_equal(found[name].numpy(), value)
    assert found["whole"].dtype == torch.int32 and found["whole"].tolist() == [-1, 1404]


GOOD = {"name": "a", "shape": [2], "dtype": "float32"}
ODD: dict[str, Any] = {
    "no list": {},
    "two groups": [{"paths": ["x"], "weights": [GOOD]}] * 2,
    "two files": [{"paths": ["x", "y"], "weights": [GOOD]}],
    "no tensors": [{"paths": ["x"], "weights": []}],
    "a tensor twice": [{"paths": ["x"], "weights": [GOOD, GOOD]}],
    "a text for a tensor": [{"paths": ["x"], "weights": ["a"]}],
}
ODD |= {
    name: [{"paths": ["x"], "weights": [GOOD | change]}]
    for name, change in {
        "no name": {"name": ""},
        "a long name": {"name": "a" * 501},
        "a negative size": {"shape": [-2]},
        "no elements": {"shape": [0]},
        "a huge size": {"shape": [2**62]},
        "a huge product": {"shape": [2**20, 2**20]},
        "many axes": {"shape": [1] * 7},
        "a broken size": {"shape": [2.0]},
        "a size of true": {"shape": [True, 2]},
        "a shape of text": {"shape": "2"},
        "an unknown type": {"dtype": "complex64"},
        "text": {"dtype": "string"},
        "a list for a type": {"dtype": ["float32"]},
        "quantised integers": {"dtype": "int32", "quantization": {"dtype": "uint8", "scale": 1, "min": 0}},
        "an unknown quantisation": {"quantization": {"dtype": "uint4", "scale": 1, "min": 0}},
        "a quantisation of text": {"quantization": "uint8"},
        "no scale": {"quantization": {"dtype": "uint8", "min": 0}},
        "an infinite scale": {"quantization": {"dtype": "uint8", "scale": float("inf"), "min": 0}},
        "a scale that is no number": {"quantization": {"dtype": "uint8", "scale": float("nan"), "min": 0}},
        "a scale of true": {"quantization": {"dtype": "uint8", "scale": True, "min": 0}},
        "an enormous minimum": {"quantization": {"dtype": "uint8", "scale": 1, "min": 10**400}},
        "too large for float32": {"quantization": {"dtype": "uint8", "scale": 1e300, "min": 1e300}},
    }.items()
}


@pytest.mark.parametrize("name", ODD)
def test_odd_manifests_are_refused(name: str, tmp_path: Path) -> None:
    manifest, data = tmp_path / "net.json", tmp_path / "net.bin"
    manifest.write_text(json.dumps(ODD[name]))
    data.write_bytes(b"\1" * (2 if "float32" in name else 8))
    with pytest.raises(WeightsError, match=r"net\.(json|bin)"):
        read_weights(manifest, data)


def test_the_file_s_path_in_a_manifest_is_not_followed(tmp_path: Path) -> None:
    manifest, data = tmp_path / "net.json", tmp_path / "net.bin"
    manifest.write_text(json.dumps([{"paths": ["../../etc/passwd"], "weights": [GOOD]}]))
    data.write_bytes(np.array([1, 2], "<f4").tobytes())
    assert read_weights(manifest, data)["a"].tolist() == [1, 2]


@pytest.mark.parametrize("change", [-1, 1, 4])
def test_a_bin_of_another_size_is_refused(change: int, tmp_path: Path) -> None:
    manifest, data = tmp_path / "net.json", tmp_path / "net.bin"
    manifest.write_text(json.dumps([{"paths": ["net.bin"], "weights": [GOOD]}]))
    data.write_bytes(b"\0" * (8 + change))
    with pytest.raises(WeightsError, match=f"has {8 + change} bytes, expected 8"):
        read_weights(manifest, data)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    files = tfjs_files.write(tmp_path, "net", {"a": (np.array([1, np.inf], "<f2"), {"dtype": "float16"})})
    with pytest.raises(WeightsError, match="not finite"):
        read_weights(*files)


@pytest.mark.parametrize("text", ["", "<html>", "[" * 100_000, "{", '{"a": NaN'])
def test_what_is_not_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(WeightsError, match="is not JSON"):
        read_weights(tmp_path / "net.json", tmp_path / "net.bin")


def test_missing_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, data = tmp_path / "net.json", tmp_path / "net.bin"
    with pytest.raises(WeightsError, match=r"net\.json cannot be read"):
        read_weights(manifest, data)
    manifest.write_text(json.dumps([{"paths": ["net.bin"], "weights": [GOOD]}]))
    with pytest.raises(WeightsError, match=r"net\.bin cannot be read"):
        read_weights(manifest, data)
    monkeypatch.setattr(weights, "LARGEST_JSON", 10)
    with pytest.raises(WeightsError, match="too large"):
        read_weights(manifest, data)
