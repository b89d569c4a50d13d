"""Judges on disk: a safetensors file, and a JSON card with the arguments of the network. Nothing is executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import nn

from pipeline.errors import WeightsError
from pipeline.networks.cards import REMEDY, read_card
from pipeline.storage.fingerprint import bytes_sha256
from stylegan.weights import card_path, replace_file

Network = TypeVar("Network", bound=nn.Module)


def save_network(network: nn.Module, path: Path, arguments: dict[str, Any], card: dict[str, Any]) -> str:
    """Write weights and their card; returns the file's sha256. `arguments` are the constructor's arguments."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    data = safetensors.torch.save(tensors)
    facts = {
        "file": path.name,
        "sha256": bytes_sha256(data),
        "size_bytes": len(data),
        "arguments": arguments,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)
    replace_file(card_path(path), (json.dumps(card | facts, indent=1, ensure_ascii=False) + "\n").encode())
    return str(facts["sha256"])


def check_file(path: Path, sha256: str, remedy: str = REMEDY) -> bytes:
    """The bytes of a weights file. Raises WeightsError, with the `remedy`, if it is missing or has another sha256."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"Weights missing: cannot read {path} ({error.strerror}). Expected a file with sha256 {sha256} there. "
            f"{remedy}"
        ) from error
    actual = bytes_sha256(data)
    if actual != sha256:
        raise WeightsError(f"Wrong weights: {path} has sha256 {actual}, expected {sha256}. {remedy}")
    return data


def load_network(kind: type[Network], path: Path, device: torch.device, remedy: str = REMEDY) -> Network:
    """Load a network from a file and its card: sha256 checked, frozen, in evaluation mode.

    Raises WeightsError, with the `remedy`, if a file is missing or has another sha256, and if the weights do not fit.
    """
    card = read_card(path, remedy)
    data = check_file(path, card["sha256"], remedy)
    try:
        network = kind(**card["arguments"])
        network.load_state_dict(safetensors.torch.load(data), strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path} does not hold the {kind.__name__} of its card: {error}") from error
    network.eval().requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device)
