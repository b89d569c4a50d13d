"""Our generator beside NVIDIA's own code, with the same random weights.

Set LATENTBENCH_NVIDIA_REFERENCE to a checkout of github.com/NVlabs/stylegan2-ada-pytorch to run it.
Their code is under NVIDIA's own licence, so no copy of it is kept here.
"""

import importlib
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan.checkpoints.reading import read_checkpoint
from stylegan.generator import Generator

REFERENCE = os.environ.get("LATENTBENCH_NVIDIA_REFERENCE", "")

pytestmark = pytest.mark.skipif(
    not REFERENCE, reason="LATENTBENCH_NVIDIA_REFERENCE names no stylegan2-ada-pytorch checkout"
)

TOLERANCE = 1e-5
ARCHITECTURES = [
    pytest.param(dict(resolution=64, channel_base=4096, channel_max=128), id="64px"),
    pytest.param(dict(resolution=128, channel_base=4096, channel_max=64), id="128px"),
    pytest.param(
        dict(resolution=256, channel_base=4096, channel_max=64, mapping_layers=2, conv_clamp=4.0),
        id="256px-clamped",
    ),
]


@pytest.fixture(scope="module")
def networks() -> Any:
    """NVIDIA's `training.networks`, whose custom operations fall back to plain torch on a CPU."""
    assert Path(REFERENCE, "training", "networks.py").is_file(), REFERENCE
    sys.path.insert(0, REFERENCE)
    try:
        yield importlib.import_module("training.networks")
    finally:
        sys.path.remove(REFERENCE)


def randomize(network: nn.Module, seed: int) -> None:
    """Move every number that starts at zero or one, so that no path stays silent."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("resample_filter"):
                continue
            scale = {"noise_strength": 0.3, "w_avg": 0.5, "bias": 0.2}.get(name.split(".")[-1], 0.0)
            if "mapping.fc" in name and name.endswith("bias"):
                scale = 20.0
            value += scale * torch.randn(value.shape, generator=rng)


def build_theirs(networks: Any, arguments: dict[str, Any]) -> nn.Module:
    torch.manual_seed(1)
    synthesis = {k: arguments[k] for k in ("channel_base", "channel_max")}
    if "conv_clamp" in arguments:
        synthesis["conv_clamp"] = arguments["conv_clamp"]
    theirs: nn.Module = networks.Generator(
        z_dim=96,
        c_dim=0,
        w_dim=80,
        img_resolution=arguments["resolution"],
        img_channels=3,
        mapping_kwargs={"num_layers": arguments.get("mapping_layers", 8)},
        synthesis_kwargs=synthesis,
    )
    randomize(theirs, seed=2)
    return theirs.eval()


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("arguments", ARCHITECTURES)
def test_same_images_as_the_reference(networks: Any, arguments: dict[str, Any], fused: bool) -> None:
    theirs = build_theirs(networks, arguments)
    ours = Generator(z_dim=96, w_dim=80, fused=fused, **arguments).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    z = torch.randn(3, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for psi, cutoff in [(1.0, None), (0.6, None), (0.3, 4), (-0.5, 0)]:
            found = ours.mapping(z, truncation_psi=psi, truncation_cutoff=cutoff)
            expected = theirs.mapping(z, None, truncation_psi=psi, truncation_cutoff=cutoff)
            assert relative_error(found, expected) < TOLERANCE
        ws = theirs.mapping(z, None)
        for noise in ("const", "none"):
            expected = theirs.synthesis(ws, noise_mode=noise)
            assert relative_error(ours.synthesis(ws, noise=noise), expected) < TOLERANCE
        image = ours(z, truncation_psi=0.7, truncation_cutoff=5)
        expected = theirs(z, None, truncation_psi=0.7, truncation_cutoff=5, noise_mode="const")
        assert relative_error(image, expected) < TOLERANCE


def test_same_start_values_as_the_reference(networks: Any) -> None:
    """The spread and mean of every freshly made parameter agree."""
    arguments: dict[str, Any] = dict(resolution=64, channel_base=4096, channel_max=128)
    torch.manual_seed(4)
    widths = {"channel_base": 4096, "channel_max": 128}
    theirs = networks.Generator(512, 0, 512, 64, 3, synthesis_kwargs=widths)
    ours = Generator(**arguments).state_dict()
    assert any(value.numel() > 2000 for value in theirs.state_dict().values())
    for name, value in theirs.state_dict().items():
        assert ours[name].shape == value.shape
        if value.numel() > 2000:
            torch.testing.assert_close(ours[name].std(), value.std(), rtol=0.1, atol=0)
        elif "noise_const" not in name and "weight" not in name:
            torch.testing.assert_close(ours[name], value)


@pytest.mark.parametrize("protocol", [3, 4])
def test_their_own_snapshot_is_read_without_their_code(networks: Any, protocol: int, tmp_path: Path) -> None:
    """A snapshot as their training loop writes it; half precision is theirs on a GPU alone, hence force_fp32."""
    arguments = dict(resolution=32, channel_base=256, channel_max=32, conv_clamp=256)
    theirs = build_theirs(networks, arguments)
    discriminator = networks.Discriminator(c_dim=0, img_resolution=32, img_channels=3, channel_base=256, channel_max=32)
    content = {"G": theirs, "D": discriminator, "G_ema": theirs, "augment_pipe": None, "training_set_kwargs": {}}
    path = tmp_path / "snapshot.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    ours = read_checkpoint(path).generator
    assert ours.architecture.conv_clamp == 256
    z = torch.randn(2, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for noise in ("const", "none"):
            expected = theirs(z, None, truncation_psi=0.7, noise_mode=noise, force_fp32=True)
            assert relative_error(ours(z, truncation_psi=0.7, noise=noise), expected) < TOLERANCE
