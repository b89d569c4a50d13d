"""Published networks of other libraries, built from verified files in the weights folder.

None of these functions downloads: for a missing file they raise WeightsError with its name, source, size and the
command that fetches it. The libraries' caches (/tmp, $TORCH_HOME) are neither read nor written.
"""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import lpips
import torch
from cleanfid.inception_torchscript import InceptionV3W
from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn

from pipeline.errors import WeightsError
from pipeline.weights.store import Store

RECOGNIZERS = ("vggface2", "casia-webface")


def inception(store: Store) -> nn.Module:
    """clean-fid's Inception: images (N, 3, 299, 299), float in [0, 255] -> features (N, 2048).

    The caller resizes (`networks.inception.pixels_of`). Raises WeightsError.
    """
    path = store.require("inception")
    try:
        network: nn.Module = InceptionV3W(str(path.parent), download=False)
    except (RuntimeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} does not hold clean-fid's Inception: {error}") from error
    return network.eval().requires_grad_(False)


def perceptual_alexnet(store: Store) -> lpips.LPIPS:
    """LPIPS with the package's learned heads on AlexNet: pairs (N, 3, H, W) in [-1, 1] -> (N, 1, 1, 1).

    The same network as `lpips.LPIPS(net="alex")`, which would download the backbone. Raises WeightsError.
    """
    path = store.require("alexnet")
    state = read_state(path)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        distance = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    # lpips cuts torchvision's `features` into slices and keeps the index: features.3.weight is slice2.3.weight.
    keys = {name: f"features.{name.partition('.')[2]}" for name in distance.net.state_dict()}
    fill(distance.net, {name: state[key] for name, key in keys.items() if key in state}, path, "lpips' AlexNet")
    return distance.eval().requires_grad_(False)


def face_recognizer(name: str, store: Store) -> InceptionResnetV1:
    """facenet-pytorch's InceptionResnetV1; `name` is in RECOGNIZERS. Images -> embeddings of unit norm.

    (N, 3, 160, 160) in [-1, 1] -> (N, 512). The file's classifier over the training persons is not loaded. Raises
    WeightsError.
    """
    path = store.require(name)
    state = {key: value for key, value in read_state(path).items() if not key.startswith("logits.")}
    with torch.random.fork_rng(devices=[]):
        network = InceptionResnetV1(pretrained=None)
    fill(network, state, path, f"InceptionResnetV1 {name}")
    return network.eval().requires_grad_(False)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pt or .pth file by name; nothing in it is executed. Raises WeightsError."""
    try:
        state: Any = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} cannot be read as tensors: {error}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}, expected tensors by name.")
    return state


def fill(network: nn.Module, state: dict[str, Tensor], path: Path, title: str) -> None:
    """Put the tensors of the file `path` into a network. Raises WeightsError if they are not exactly its own."""
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not hold {title}: {error}") from error
