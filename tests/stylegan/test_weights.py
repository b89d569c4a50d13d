"""Weights files: what is saved comes back, and what is wrong is refused with the reason."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from stylegan.generator import Generator
from stylegan.weights import (
    METADATA_KEY,
    WeightsFileError,
    card_path,
    load_card,
    load_generator,
    save_generator,
)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(resolution=8, z_dim=6, w_dim=5, channels={4: 4, 8: 3}, mapping_layers=2, conv_clamp=256.0)


@pytest.fixture
def saved(generator: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "faces.safetensors"
    save_generator(generator, path, {"source": "a test"})
    return path


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rewrite(path: Path, change: Callable[[dict[str, Tensor], dict[str, Any]], object]) -> None:
    """Change the tensors and the header of a weights file, and write it as valid safetensors."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][METADATA_KEY])
    tensors = safetensors.torch.load(data)
    change(tensors, header)
    path.write_bytes(safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(header)}))


def test_a_saved_generator_comes_back_as_it_was(generator: Generator, saved: Path) -> None:
    loaded = load_generator(saved, sha256_of(saved))
    assert loaded.architecture == generator.architecture
    for name, value in generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    z = torch.randn(2, 6)
    assert torch.equal(loaded(z), generator(z))


def test_a_loaded_generator_is_frozen_and_in_eval_mode(saved: Path) -> None:
    loaded = load_generator(saved, None)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert {p.device.type for p in loaded.state_dict().values()} == {"cpu"}
    ws = loaded.mapping(torch.randn(1, 6)).requires_grad_()
    loaded.synthesis(ws).sum().backward()
    assert ws.grad is not None


def test_a_loaded_generator_can_be_trained_and_moved(saved: Path) -> None:
    loaded = load_generator(saved, None).requires_grad_(True).double()
    loaded(torch.randn(2, 6).double()).square().sum().backward()
    gradients = [parameter.grad for parameter in loaded.parameters()]
    assert gradients and all(gradient is not None for gradient in gradients)


def test_plain_forms_can_be_asked_for(saved: Path) -> None:
    assert load_generator(saved, None).fused
    assert not load_generator(saved, None, fused=False).fused


def test_the_hash_is_answered_and_in_the_card(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "new" / "faces.safetensors"
    sha256 = save_generator(generator, path, {"source": "a test", "file": "overwritten"})
    assert sha256 == sha256_of(path)
    card = load_card(path)
    assert card_path(path) == tmp_path / "new" / "faces.json"
    assert card["source"] == "a test"
    assert card["file"] == "faces.safetensors"
    assert card["sha256"] == sha256
    assert card["size_bytes"] == path.stat().st_size
    assert card["architecture"]["channels"] == {"4": 4, "8": 3}
    assert sorted(p.name for p in path.parent.iterdir()) == ["faces.json", "faces.safetensors"]


def test_the_same_weights_give_the_same_bytes(generator: Generator, tmp_path: Path) -> None:
    first = save_generator(generator, tmp_path / "a.safetensors", {})
    generator.fused = False
    assert save_generator(generator, tmp_path / "b.safetensors", {"x": 1}) == first


def test_upper_case_hashes_are_hashes(saved: Path) -> None:
    assert isinstance(load_generator(saved, sha256_of(saved).upper()), Generator)


# Refusals


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsFileError, match="none.safetensors"):
        load_generator(tmp_path / "none.safetensors", None)


def test_a_wrong_hash_names_both_and_what_to_do(saved: Path) -> None:
    with pytest.raises(WeightsFileError, match=f"{sha256_of(saved)}.*{'0' * 64}"):
        load_generator(saved, "0" * 64)


def test_the_hash_is_checked_before_anything_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "faces.safetensors"
    path.write_bytes(b"not weights at all")
    with pytest.raises(WeightsFileError, match="sha256"):
        load_generator(path, "0" * 64)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1, -500])
def test_a_truncated_file_is_refused(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(WeightsFileError, match="faces.safetensors"):
        load_generator(saved, None)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff" * 64, id="header-of-2**64-bytes"),
        pytest.param(struct.pack("<Q", 2) + b"[]", id="header-is-a-list"),
        pytest.param(struct.pack("<Q", 4) + b"null", id="header-is-null"),
        pytest.param(struct.pack("<Q", 2) + b"{}", id="header-is-empty"),
        pytest.param(struct.pack("<Q", 200_000) + b"[" * 200_000, id="header-is-deep"),
        pytest.param(b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.", id="a-pickle"),
    ],
)
def test_hostile_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "faces.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsFileError, match="faces.safetensors"):
        load_generator(path, None)


def test_a_torch_checkpoint_is_refused(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "faces.safetensors"
    torch.save(generator.state_dict(), path)
    with pytest.raises(WeightsFileError, match=METADATA_KEY):
        load_generator(path, None)


def test_absent_metadata_is_refused(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "faces.safetensors"
    safetensors.torch.save_file(dict(generator.state_dict()), path)
    with pytest.raises(WeightsFileError, match=METADATA_KEY):
        load_generator(path, None)


def test_another_format_version_is_refused(saved: Path) -> None:
    rewrite(saved, lambda tensors, header: header.update(version=2))
    with pytest.raises(WeightsFileError, match="version 2"):
        load_generator(saved, None)


def test_a_missing_tensor_is_named(saved: Path) -> None:
    rewrite(saved, lambda tensors, header: tensors.pop("mapping.w_avg"))
    with pytest.raises(WeightsFileError, match="mapping.w_avg"):
        load_generator(saved, None)


def test_an_unknown_tensor_is_named(saved: Path) -> None:
    rewrite(saved, lambda tensors, header: tensors.update(extra=torch.zeros(2)))
    with pytest.raises(WeightsFileError, match="extra"):
        load_generator(saved, None)


def test_a_wrong_shape_is_named(saved: Path) -> None:
    name = "synthesis.b8.conv1.bias"
    rewrite(saved, lambda tensors, header: tensors.update({name: torch.zeros(4)}))
    with pytest.raises(WeightsFileError, match=rf"{name}.*\(4,\).*\(3,\)"):
        load_generator(saved, None)


def test_a_wrong_type_is_named(saved: Path) -> None:
    name = "synthesis.b8.conv1.bias"
    rewrite(saved, lambda tensors, header: tensors.update({name: tensors[name].half()}))
    with pytest.raises(WeightsFileError, match=rf"{name}.*float16.*float32"):
        load_generator(saved, None)


def test_undefined_values_are_refused_at_both_ends(generator: Generator, saved: Path, tmp_path: Path) -> None:
    name = "mapping.fc1.bias"
    rewrite(saved, lambda tensors, header: tensors[name].fill_(float("nan")))
    with pytest.raises(WeightsFileError, match=name):
        load_generator(saved, None)
    with torch.no_grad():
        generator.synthesis.b4.const.fill_(float("inf"))
    with pytest.raises(WeightsFileError, match="b4.const"):
        save_generator(generator, tmp_path / "other.safetensors", {})
    assert not (tmp_path / "other.safetensors").exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("resolution", 12),
        ("resolution", 2**40),
        ("resolution", "8"),
        ("z_dim", 10**12),
        ("w_dim", -5),
        ("w_dim", True),
        ("mapping_layers", 10**9),
        ("conv_clamp", -1),
        ("conv_clamp", "256"),
        ("channels", {"4": 4}),
        ("channels", {"4": 4, "8": 10**9}),
        ("channels", {"4": 4, "eight": 3}),
        ("channels", [4, 3]),
        ("surprise", 1),
    ],
)
def test_impossible_architectures_are_refused(saved: Path, setting: str, value: object) -> None:
    rewrite(saved, lambda tensors, header: header["architecture"].update({setting: value}))
    with pytest.raises(WeightsFileError, match="describes no valid generator"):
        load_generator(saved, None)


def test_an_architecture_larger_than_the_tensors_is_refused_without_memory(saved: Path) -> None:
    """4,096 channels in each of nine layers would be 6 GB: shapes are compared before anything is made."""

    def change(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        header["architecture"]["channels"] = {str(2**k): 4096 for k in range(2, 8)}
        header["architecture"]["resolution"] = 128

    rewrite(saved, change)
    with pytest.raises(WeightsFileError, match="does not fit the architecture"):
        load_generator(saved, None)


def test_only_safetensors_are_written(generator: Generator, tmp_path: Path) -> None:
    with pytest.raises(WeightsFileError, match="faces.pt"):
        save_generator(generator, tmp_path / "faces.pt", {})


def test_a_damaged_or_missing_card_is_refused(saved: Path) -> None:
    for text in ("{", "[]", "[" * 200_000):
        card_path(saved).write_text(text)
        with pytest.raises(WeightsFileError, match="faces.json"):
            load_card(saved)
    card_path(saved).unlink()
    with pytest.raises(WeightsFileError, match="faces.json"):
        load_card(saved)
