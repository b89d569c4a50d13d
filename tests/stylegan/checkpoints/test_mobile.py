"""MobileStyleGAN out of OpenVINO's files: small files of random weights, and where they are, the published ones.

Set LATENTBENCH_PHOTOFACE to a folder with photoface-mapping.xml, photoface-synthesis.xml and their .bin files to test
those against stored outputs; with openvino installed, against OpenVINO too.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan.checkpoints.limits import CheckpointError
from stylegan.checkpoints.mobile import MobileCheckpoint, read_mobile
from stylegan.mobile import measured
from stylegan.mobile.generator import MobileGenerator
from tests.builders import mobile_images
from tests.builders.mobile_files import make_mobile, write_mobile

FOLDER = Path(os.environ.get("LATENTBENCH_PHOTOFACE", ""))
PUBLISHED = (FOLDER / "photoface-mapping.xml", FOLDER / "photoface-synthesis.xml")
with_files = pytest.mark.skipif(not PUBLISHED[0].is_file(), reason="LATENTBENCH_PHOTOFACE names no folder with them")
with_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
TOLERANCE = 1e-4


@pytest.fixture
def generator() -> MobileGenerator:
    return make_mobile()


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The averages of small networks are measured with few random z."""
    monkeypatch.setattr(measured.measure, "__kwdefaults__", {"samples": 4096})
    monkeypatch.setattr(measured, "mean_distance", lambda generator: 2.5)


def test_a_generator_comes_back(generator: MobileGenerator, tmp_path: Path) -> None:
    checkpoint = read_mobile(*write_mobile(generator, tmp_path))
    assert checkpoint.generator.architecture == generator.architecture
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    expected = generator(z)
    assert expected.std() > 1
    assert torch.allclose(checkpoint.generator(z), expected, rtol=1e-4, atol=1e-4)
    assert not any(p.requires_grad for p in checkpoint.generator.parameters()) and not checkpoint.generator.training


def test_the_average_is_measured_for_a_network_that_is_not_known(generator: MobileGenerator, tmp_path: Path) -> None:
    checkpoint = read_mobile(*write_mobile(generator, tmp_path))
    assert checkpoint.mean_distance == 2.5 and "4,096 random z" in checkpoint.assumed[0]
    generator.mapping.measure_average_w(samples=4096)
    assert torch.allclose(checkpoint.generator.mapping.w_avg, generator.mapping.w_avg, atol=1e-4)


def test_the_hashes_are_of_the_files(generator: MobileGenerator, tmp_path: Path) -> None:
    paths = write_mobile(generator, tmp_path)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    assert len(files) == 4 and read_mobile(*paths, expected_sha256=files).sha256 == files
    with pytest.raises(CheckpointError, match=r"synthesis\.bin' is not imported: its sha256 is"):
        read_mobile(*paths, expected_sha256=files | {"synthesis.bin": "0" * 64})


def replaced(old: str, new: str) -> Callable[[Path], object]:
    """A change of the graph of the synthesis network."""

    def change(folder: Path) -> None:
        path = folder / "synthesis.xml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def changed_number(value: float, other: float) -> Callable[[Path], object]:
    """The first number of that value in the synthesis network's numbers becomes another one."""

    def change(folder: Path) -> None:
        path = folder / "synthesis.bin"
        numbers = np.frombuffer(path.read_bytes(), "<f4").copy()
        (found,) = np.nonzero(numbers == np.float32(value))
        numbers[found[0]] = other
        path.write_bytes(numbers.tobytes())

    return change


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda folder: (folder / "synthesis.bin").unlink(), "cannot be read"),
    "no numbers": (lambda folder: (folder / "synthesis.bin").write_bytes(b""), "should end at byte"),
    "a link": (
        lambda folder: ((folder / "mapping.bin").unlink(), (folder / "mapping.bin").symlink_to("/etc/hosts")),
        "symbolic link",
    ),
    "two mapping networks": (
        lambda folder: [
            (folder / f"synthesis.{end}").write_bytes((folder / f"mapping.{end}").read_bytes())
            for end in ("xml", "bin")
        ],
        "does not have the layers",
    ),
    "no block": (replaced("m.layers.1.up.modulation.weight", "m.layers.3.up.modulation.weight"), "have the layers"),
    "no bias": (replaced("m.layers.0.conv1.bias", "m.layers.0.conv1.other"), "lacks m.layers.0.conv1.bias"),
    "another operation": (replaced('type="GroupConvolution"', 'type="Convolution"'), "expected GroupConvolution"),
    "another shape": (replaced('shape="12, 12, 1, 1"', 'shape="1, 12, 12, 1"'), "b8.conv2.weight"),
    "another slope": (changed_number(0.2, 0.1), "factor"),
    "another gain": (changed_number(1 / 12, 0.1), "factor"),
    "another filter": (changed_number(-(0.5**0.5), 0.5), "inverse Haar"),
    "fewer filters": (replaced('type="GroupConvolutionBackpropData"', 'type="Convolution"'), "inverse Haar"),
    "numbers that are not finite": (
        changed_number(float(make_mobile().synthesis.get_parameter("b4.const")[0, 0, 0]), float("nan")),
        "b4.const holds infinite",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_other_files_are_refused(case: str, generator: MobileGenerator, tmp_path: Path) -> None:
    paths = write_mobile(generator, tmp_path)
    change, reason = FAULTS[case]
    change(tmp_path)
    with pytest.raises(CheckpointError, match=reason) as refused:
        read_mobile(*paths)
    assert "Nothing in it was executed" in str(refused.value)


@pytest.fixture(scope="module")
def published() -> MobileCheckpoint:
    return read_mobile(*PUBLISHED)


@with_files
def test_the_kept_average_is_the_average(published: MobileCheckpoint) -> None:
    assert published.assumed == ()
    kept = published.generator.mapping.w_avg.clone()
    w = published.generator.map_to_w(torch.randn(20_000, 512, generator=torch.Generator().manual_seed(5)))
    errors = (w.mean(dim=0) - kept) / (w.std(dim=0) / len(w) ** 0.5)
    assert 0.8 < float(errors.square().mean()) < 1.2  # of 512 standard normal numbers
    assert published.mean_distance == pytest.approx(float((w[:10_000] - w[10_000:]).norm(dim=1).mean()), rel=0.01)


def made(generator: MobileGenerator, w: Tensor) -> Tensor:
    images: Tensor = generator.synthesis(generator.mapping.broadcast(w))
    return images


@with_files
def test_images_are_the_stored_ones(published: MobileCheckpoint) -> None:
    w = published.generator.map_to_w(mobile_images.codes())
    found = mobile_images.summary(torch.cat([made(published.generator, part) for part in w.split(1)]))
    with np.load(mobile_images.FILE) as stored:
        for name in ("averages", "pixels"):
            assert stored[name].std() > 0.2 and found[name].shape == stored[name].shape
            assert np.abs(found[name] - stored[name]).max() < TOLERANCE


@with_files
@with_openvino
def test_images_are_openvinos(published: MobileCheckpoint) -> None:
    """Within 1e-4 for most codes; at most 3 pixels in 10,000 are further off, by up to 5e-4: OpenVINO rounds more."""
    mapping, synthesis = mobile_images.openvino_networks(*PUBLISHED)
    errors = []
    for z in mobile_images.codes().split(1):
        w = mapping(z)
        assert float((published.generator.map_to_w(z) - w).abs().max()) < TOLERANCE
        expected, found = synthesis(w), made(published.generator, w)
        errors.append((found - expected).abs())
        assert expected.std() > 0.2 and errors[-1].max() < 10 * TOLERANCE
        assert float(errors[-1].square().mean().sqrt()) < TOLERANCE / 20
        assert float((errors[-1] > TOLERANCE).double().mean()) < 3e-4
    assert sum(float(error.max()) < TOLERANCE for error in errors) >= 6


@with_files
@with_openvino
def test_float64_is_nearer_to_our_images_than_to_openvinos(published: MobileCheckpoint) -> None:
    mapping, synthesis = mobile_images.openvino_networks(*PUBLISHED)
    exact = copy.deepcopy(published.generator).double()
    exact.fused = False
    w = mapping(mobile_images.codes()[1:2])  # the one of the eight with the largest difference
    truth = made(exact, w.double())
    ours, theirs = ((images - truth).square().mean() for images in (made(published.generator, w), synthesis(w)))
    assert 0 < float(ours) < float(theirs) < 1e-10
