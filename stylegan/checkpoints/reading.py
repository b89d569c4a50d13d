"""Reading of checkpoints: detects the format and returns the generator. Nothing in a file is ever executed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stylegan.checkpoints import nvidia, rosinality, safetensorfiles, tensorflow
from stylegan.checkpoints.found import (
    AVERAGE_W,
    NOISE,
    FoundGenerator,
    check_memory,
    check_shapes,
    draw_noise,
    infer_architecture,
    read_tensor,
)
from stylegan.checkpoints.instructions import load_pickle
from stylegan.checkpoints.limits import Budget, RefusalError
from stylegan.checkpoints.machine import PickleReader
from stylegan.checkpoints.names import pickle_names
from stylegan.checkpoints.opening import (
    ZIP_MAGIC,
    check_beginning,
    exhausted,
    is_safetensors,
    read_checked,
    readable,
    refused,
)
from stylegan.checkpoints.torchfiles import OLD_MAGIC, read_old, read_storage, read_zip
from stylegan.generator import Generator
from stylegan.layers import resampling_filter

AVERAGE_SAMPLES = 100_000
UNKNOWN_LICENSE = "not stated in the file"


@dataclass(frozen=True)
class Checkpoint:
    """A generator read from a file, with the facts about that file."""

    generator: Generator
    kind: str
    """The format, in words."""
    file: str
    sha256: str
    size_bytes: int
    license_note: str
    assumed: tuple[str, ...]
    """Properties that the file does not state, and the value assumed for each, in words."""


def read_checkpoint(path: Path | str, *, expected_sha256: str | None = None) -> Checkpoint:
    """Read the averaged generator of a checkpoint: on the CPU, in eval mode, with frozen parameters.

    Supported are NVIDIA's pickles of stylegan2-ada-pytorch and stylegan3 (StyleGAN2 networks only), pickles of the
    TensorFlow-era stylegan2, rosinality's .pt files, and safetensors. Raises CheckpointError, with the reason, for any
    other file. If `expected_sha256` is given, another sha256 is refused before the file is parsed.

    >>> import tempfile
    >>> from stylegan.weights import save_generator
    >>> generator = Generator(resolution=8, channels={4: 16, 8: 16}, z_dim=32, w_dim=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sha256 = save_generator(generator, f"{folder}/faces.safetensors", {})
    ...     checkpoint = read_checkpoint(f"{folder}/faces.safetensors", expected_sha256=sha256)
    >>> checkpoint.kind, checkpoint.generator.resolution
    ("safetensors with NVIDIA's names", 8)
    """
    path = Path(path)
    try:
        data, sha256 = read_checked(path, expected_sha256)
        found = _find(data)
        generator, assumed = _build(found, len(data))
    except MemoryError as error:
        raise exhausted(path) from error
    except RefusalError as refusal:
        raise refused(path, refusal) from refusal
    note = found.license_note or UNKNOWN_LICENSE
    return Checkpoint(generator, found.kind, readable(path.name), sha256, len(data), note, found.assumed + assumed)


def _find(data: bytes) -> FoundGenerator:
    """The generator in the bytes of a file."""
    budget = Budget(len(data))
    check_beginning(data)
    if data.startswith(ZIP_MAGIC):
        return rosinality.find_generator(read_zip(data, budget))
    if is_safetensors(data):
        return safetensorfiles.find_generator(data)
    view = memoryview(data)
    reader = PickleReader(view, pickle_names(lambda storage: read_storage(storage, budget)), budget)
    content: Any = load_pickle(reader)
    if content == OLD_MAGIC:
        return rosinality.find_generator(read_old(view, budget).content)
    networks = content if type(content) is tuple else (content,)
    if any(tensorflow.is_network(network) for network in networks):
        return tensorflow.find_generator(content)
    return nvidia.find_generator(content)


def _build(found: FoundGenerator, size_bytes: int) -> tuple[Generator, tuple[str, ...]]:
    """Our generator with the file's tensors, and the assumptions made. Shapes are compared before values are read."""
    architecture = infer_architecture(found.values, found.conv_clamp)
    check_shapes(found, architecture)
    check_memory(found.values, size_bytes)
    with torch.device("meta"):
        generator = Generator.from_architecture(architecture)
    tensors = {}
    for name, placeholder in generator.state_dict().items():
        if name in found.values:
            tensors[name] = read_tensor(name, found.values[name])
            if not bool(torch.isfinite(tensors[name]).all()):
                raise RefusalError(f"its {name} holds infinite or undefined values")
        elif name.endswith("resample_filter"):
            tensors[name] = resampling_filter()
        elif name.endswith(NOISE):
            tensors[name] = draw_noise(name, tuple(placeholder.shape))
        else:
            tensors[name] = torch.zeros(placeholder.shape)
    generator.load_state_dict(tensors, strict=True, assign=True)
    generator.eval().requires_grad_(False)
    if AVERAGE_W in found.values:
        return generator, ()
    generator.mapping.measure_average_w(samples=AVERAGE_SAMPLES)
    return generator, (f"the average w is not in the file and was measured over {AVERAGE_SAMPLES:,} random z",)
