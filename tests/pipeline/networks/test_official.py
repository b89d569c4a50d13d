"""Networks of other libraries from local files: the same as the library's own, and never a download.

The files here hold random weights in the published layout, under tables without a published hash.
"""

from __future__ import annotations

import socket
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import lpips
import pytest
import torch
import torchvision
from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn

from pipeline.errors import UnknownNameError, WeightsError
from pipeline.networks.official import face_recognizer, inception, perceptual_alexnet
from pipeline.weights.store import Store
from pipeline.weights.table import read_table

PLAIN = {name: replace(weight, sha256="", sha256_start="", size=0) for name, weight in read_table().items()}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("something wanted the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def here(tmp_path: Path) -> Store:
    (tmp_path / "weights").mkdir()
    return Store(tmp_path / "weights", PLAIN)


def put(here: Store, name: str, value: Any) -> None:
    torch.save(value, here.path(PLAIN[name]))
    here.adopt(PLAIN[name])


class Layers(nn.Module):
    """Channel sums, spread over the 2048 features: enough to tell the scaling of the input."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum(dim=(2, 3)).repeat(1, 683)[:, :2048]


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def test_inception_is_the_file_s(here: Store) -> None:
    path = here.path(PLAIN["inception"])
    torch.jit.script(Base()).save(str(path))
    here.adopt(PLAIN["inception"])
    images = torch.randint(0, 256, (2, 3, 299, 299), generator=torch.Generator().manual_seed(1)).float()
    wanted = ((images - 128) / 128).sum(dim=(2, 3)).repeat(1, 683)[:, :2048]
    network = inception(here)
    assert not network.training
    torch.testing.assert_close(network(images), wanted)


def test_lpips_is_the_package_s_own(here: Store, tmp_path: Path) -> None:
    """Put where lpips would look for its download, the same file gives the same network."""
    torch.manual_seed(3)
    state = torchvision.models.alexnet(weights=None).state_dict()
    put(here, "alexnet", state)
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(state, cache / PLAIN["alexnet"].file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lpips.LPIPS(net="alex", verbose=False)
    ours, before = perceptual_alexnet(here), torch.random.get_rng_state()
    one, other = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(4)) * 2 - 1
    torch.testing.assert_close(ours(one, other), theirs(one, other), rtol=0, atol=0)
    assert ours(one, other).min() > 0 and ours(one, one).abs().max() == 0
    assert set(ours.state_dict()) == set(theirs.state_dict())
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("name", "persons"), [("vggface2", 8631), ("casia-webface", 10575)])
def test_recognizers_leave_the_classifier_out(name: str, persons: int, here: Store) -> None:
    torch.manual_seed(5)
    theirs = InceptionResnetV1(pretrained=None, classify=True, num_classes=persons).eval()
    put(here, name, theirs.state_dict())
    ours = face_recognizer(name, here)
    assert not ours.training and not any(parameter.requires_grad for parameter in ours.parameters())
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in ours.state_dict().items())
    theirs.classify = False
    faces = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(6)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours(faces), theirs(faces), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("inception", inception),
        ("alexnet", perceptual_alexnet),
        ("vggface2", lambda here: face_recognizer("vggface2", here)),
    ],
)
def test_missing_and_wrong_files_are_reported(name: str, build: Any, here: Store) -> None:
    with pytest.raises(WeightsError, match=f"latentbench weights fetch {name}"):
        build(here)
    put(here, name, {"features.0.weight": torch.zeros(3)})
    with pytest.raises(WeightsError, match=f"{PLAIN[name].file} does not hold"):
        build(here)
    here.path(PLAIN[name]).write_bytes(b"not a network")
    with pytest.raises(WeightsError, match="Wrong weights"):
        build(here)


class Boom:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("boom"),)


def test_nothing_in_a_file_is_executed(here: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(here, "vggface2", {"a": Boom()})
    with pytest.raises(WeightsError, match="vggface2|tensors"):
        face_recognizer("vggface2", here)
    assert not (tmp_path / "boom").exists()


def test_a_recognizer_that_is_not_there(here: Store) -> None:
    with pytest.raises(UnknownNameError) as unknown:
        face_recognizer("vggface", here)
    assert unknown.value.name == "vggface" and "vggface2" in unknown.value.known
