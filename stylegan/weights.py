"""Generators on disk: one safetensors file with a JSON card next to it.

The file holds every parameter and buffer under NVIDIA's names, in float32; its header holds the architecture. The card
of `faces.safetensors` is `faces.json`: the caller's facts about the weights (source, licence, training), and the
file's size and sha256.

A file is checked completely before any of its tensors is used: sha256, header, architecture, the names, shapes and
types of all tensors, and finite values. Nothing in a file is ever executed.
"""

import hashlib
import json
import math
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from stylegan.architecture import Architecture
from stylegan.errors import WeightsFileError as WeightsFileError
from stylegan.generator import Generator

METADATA_KEY = "latentbench.stylegan2"
"""The only key of the header's metadata: safetensors writes several keys in random order."""
STAND_IN_KEY = "stand_in"
"""Key in the header and in the card: the weights are random numbers with the right shapes, for trying the program."""
FORMAT_VERSION = 1
LARGEST_RESOLUTION = 4096
LARGEST_WIDTH = 4096
"""Upper bound of z_dim, w_dim and channels. The widest known networks have 1,024."""
MOST_MAPPING_LAYERS = 64
LARGEST_HEADER = 2 * 2**20
"""Upper bound of a safetensors header in bytes; enough for about 20,000 tensors."""


def card_path(path: Path | str) -> Path:
    """Path of a weights file's card: the same name with the suffix .json."""
    return Path(path).with_suffix(".json")


def save_generator(generator: Generator, path: Path | str, card: dict[str, Any]) -> str:
    """Write the generator's weights and their card; returns the file's sha256 in hexadecimal.

    Each file is replaced atomically, the weights first. The same weights always give the same bytes. `card` is any
    JSON object; the keys file, sha256, size_bytes and architecture are set here. A stand-in (STAND_IN_KEY in the card)
    is marked in the weights file as well, because cards get lost. Raises WeightsFileError for a path that does not end
    in .safetensors and for values that are not finite.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise WeightsFileError(f"Weights are saved as .safetensors, not as '{path.name}'.")
    tensors = {
        name: value.detach().to("cpu", torch.float32).contiguous() for name, value in generator.state_dict().items()
    }
    check_finite(path, tensors)
    header = {"version": FORMAT_VERSION, "architecture": describe(generator.architecture)}
    if card.get(STAND_IN_KEY):
        header[STAND_IN_KEY] = True
    data = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(header, sort_keys=True)})
    sha256 = hashlib.sha256(data).hexdigest()
    facts = {"file": path.name, "sha256": sha256, "size_bytes": len(data)}
    facts["architecture"] = header["architecture"]
    text = json.dumps(card | facts, indent=2, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)
    replace_file(card_path(path), text.encode())
    return sha256


def load_generator(path: Path | str, expected_sha256: str | None, *, fused: bool = True) -> Generator:
    """Load a generator from a weights file: on the CPU, in eval mode, with frozen parameters.

    With `expected_sha256` None the hash is not checked. Raises WeightsFileError if the file is missing, damaged or has
    another hash.

    >>> import tempfile
    >>> generator = Generator(resolution=8, channels={4: 16, 8: 16}, z_dim=32, w_dim=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sha256 = save_generator(generator, f"{folder}/faces.safetensors", {"license": "CC0-1.0"})
    ...     loaded = load_generator(f"{folder}/faces.safetensors", sha256)
    ...     card = load_card(f"{folder}/faces.safetensors")
    >>> loaded.resolution, card["license"], card["sha256"] == sha256
    (8, 'CC0-1.0', True)
    """
    path = Path(path)
    data = read_file(path)
    if expected_sha256 is not None:
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 != expected_sha256.lower():
            raise WeightsFileError(
                f"'{path}' is not the expected file: its sha256 is {sha256}, expected {expected_sha256}. Delete it "
                "and fetch or train it again. If you replaced it on purpose, change the configured sha256."
            )
    architecture = read_architecture(path, data)
    with torch.device("meta"):
        generator = Generator.from_architecture(architecture, fused=fused)
    tensors = read_tensors(path, data)
    check_tensors(path, tensors, expected=dict(generator.state_dict()))
    generator.load_state_dict(tensors, strict=True, assign=True)
    return generator.eval().requires_grad_(False)


def load_card(path: Path | str) -> dict[str, Any]:
    """The card of the weights file at `path`. Raises WeightsFileError if it is missing or not a JSON object."""
    file = card_path(path)
    try:
        card = json.loads(read_file(file))
    except (ValueError, RecursionError) as error:
        if isinstance(error, WeightsFileError):
            raise
        raise WeightsFileError(f"'{file}' is not JSON: {error}.") from error
    if not isinstance(card, dict):
        raise WeightsFileError(f"'{file}' must hold a JSON object, not {type(card).__name__}.")
    return card


def describe(architecture: Architecture) -> dict[str, Any]:
    """The architecture as a JSON object; its keys are strings."""
    description = asdict(architecture)
    description["channels"] = {str(r): n for r, n in architecture.channels.items()}
    return description


def read_file(path: Path) -> bytes:
    """All bytes of a file, read once, so that the hashed bytes are the bytes used. Raises WeightsFileError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsFileError(f"Cannot read '{path}': {error.strerror or error}.") from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file atomically: readers see the old content or the new content, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_tensors(path: Path, data: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises WeightsFileError for a damaged file."""
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsFileError(
            f"'{path}' is damaged or not a safetensors file: {error}. Fetch or train it again."
        ) from error


def read_architecture(path: Path, data: bytes) -> Architecture:
    """The architecture in the header of a weights file; every value is checked.

    The file begins with eight bytes, the little-endian length of the JSON header, which follows.
    """
    length = int.from_bytes(data[:8], "little")
    try:
        if length > LARGEST_HEADER:
            raise ValueError(f"its header has {length:,} bytes, at most {LARGEST_HEADER:,} are read")
        if len(data) < 8 + length:
            raise ValueError(f"the header should end at byte {8 + length}, the file at {len(data)}")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        header = json.loads(metadata[METADATA_KEY])
        version = header["version"]
        description = header["architecture"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsFileError(
            f"'{path}' does not say which generator it holds ({type(error).__name__}: {error}). "
            f"Expected metadata '{METADATA_KEY}', which save_generator writes. Import weights from "
            "elsewhere first: latentbench weights import FILE."
        ) from error
    if version != FORMAT_VERSION:
        raise WeightsFileError(
            f"'{path}' has format version {version!r}; this program reads {FORMAT_VERSION}. Use the version of "
            "latentbench that wrote it, or fetch the weights again."
        )
    try:
        return parse_architecture(description)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsFileError(f"'{path}' describes no valid generator: {error}.") from error


def parse_architecture(description: dict[str, Any]) -> Architecture:
    """The inverse of `describe`, for untrusted input. Raises ValueError."""
    return Architecture(**checked_settings(description))


def checked_settings(description: dict[str, Any]) -> dict[str, Any]:
    """The settings of an architecture in an untrusted description: every size is bounded before it is used."""
    settings = set(Architecture.__dataclass_fields__)
    if set(description) != settings:
        raise ValueError(f"expected the settings {sorted(settings)}, found {sorted(description)}")

    def size(name: str, value: object, largest: int) -> int:
        if type(value) is not int or not 1 <= value <= largest:
            raise ValueError(f"{name} must be a whole number from 1 to {largest}, not {value!r}")
        return value

    clamp = description["conv_clamp"]
    if clamp is not None and not (type(clamp) in (int, float) and math.isfinite(clamp) and clamp > 0):
        raise ValueError(f"conv_clamp must be null or a positive number, not {clamp!r}")
    channels = {
        size("a resolution", int(r), LARGEST_RESOLUTION): size(f"channels[{r}]", n, LARGEST_WIDTH)
        for r, n in description["channels"].items()
    }
    return dict(
        resolution=size("resolution", description["resolution"], LARGEST_RESOLUTION),
        channels=dict(sorted(channels.items())),
        z_dim=size("z_dim", description["z_dim"], LARGEST_WIDTH),
        w_dim=size("w_dim", description["w_dim"], LARGEST_WIDTH),
        mapping_layers=size("mapping_layers", description["mapping_layers"], MOST_MAPPING_LAYERS),
        conv_clamp=clamp,
    )


def check_tensors(path: Path, tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raise WeightsFileError unless all names and shapes are as `expected`, the types float32 and the values finite."""
    faults = [f"lacks {name}" for name in expected if name not in tensors]
    faults += [f"has an unknown {name}" for name in tensors if name not in expected]
    for name in expected.keys() & tensors.keys():
        tensor, shape = tensors[name], expected[name].shape
        if tensor.shape != shape:
            faults.append(f"has {name} as {tuple(tensor.shape)}, expected {tuple(shape)}")
        elif tensor.dtype != torch.float32:
            faults.append(f"has {name} as {tensor.dtype}, expected torch.float32")
    if faults:
        shown = sorted(faults)[:5]
        more = f", and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise WeightsFileError(
            f"'{path}' does not fit the architecture in its header: it {'; it '.join(shown)}"
            f"{more}. It was not written by save_generator or is damaged; fetch or train it again."
        )
    check_finite(path, tensors)


def check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    """Raise WeightsFileError if any value is infinite or not a number."""
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise WeightsFileError(
                f"{name} of '{path}' holds infinite or undefined values. Training diverged, or the file is damaged."
            )
