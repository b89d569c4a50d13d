"""Every format, written by hand with random weights: the same generator comes out, and draws what the formulas say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from stylegan.architecture import Architecture
from stylegan.checkpoints.limits import LONGEST_TEXT, CheckpointError
from stylegan.checkpoints.reading import read_checkpoint
from stylegan.generator import Generator
from stylegan.weights import load_generator, save_generator
from tests.builders.checkpoint_files import (
    make_generator,
    nvidia,
    persistent,
    pickled,
    rosinality,
    rosinality_state,
    tensorflow,
)
from tests.checks import slow_generator

FORMATS: dict[str, Callable[[Generator], bytes]] = {
    "nvidia-2": lambda g: nvidia(g, protocol=2),
    "nvidia-3": nvidia,
    "nvidia-5": lambda g: nvidia(g, protocol=5),
    "tensorflow-2": lambda g: tensorflow(g, protocol=2),
    "tensorflow-4": tensorflow,
    "tensorflow-5": lambda g: tensorflow(g, protocol=5),
    "rosinality": rosinality,
    "rosinality-old": lambda g: rosinality(g, old=True),
    "rosinality-bare": lambda g: safetensors.torch.save(rosinality_state(g) | {"latent_avg": g.mapping.w_avg}),
    "safetensors": lambda g: safetensors.torch.save(dict(g.state_dict())),
    "safetensors-prefixed": lambda g: safetensors.torch.save({f"G_ema.{k}": v for k, v in g.state_dict().items()}),
}
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def generator() -> Generator:
    return make_generator()


def generator_of(form: str, **more: Any) -> Generator:
    """A generator that a format can hold: where z may be wider than w, it is."""
    return make_generator(z_dim=7 if form.startswith(("nvidia", "tensorflow")) else 6, **more)


def read(tmp_path: Path, data: bytes, **arguments: Any) -> Any:
    path = tmp_path / "network.pkl"
    path.write_bytes(data)
    return read_checkpoint(path, **arguments)


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_weights_come_out(form: str, tmp_path: Path) -> None:
    generator = generator_of(form)
    found = read(tmp_path, FORMATS[form](generator)).generator
    assert found.architecture == generator.architecture
    for name, value in generator.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, rtol=0, atol=1e-6 if "affine.bias" in name else 0)
    assert not found.training and not any(p.requires_grad for p in found.parameters())


@pytest.mark.parametrize(("psi", "noise"), [(1.0, "const"), (0.6, "const"), (-0.5, "none")])
@pytest.mark.parametrize("form", ["nvidia-3", "tensorflow-4", "rosinality"])
def test_images_are_those_of_the_formulas(form: str, psi: float, noise: Any, tmp_path: Path) -> None:
    """Against loops over NVIDIA's formulas in float64: z -> w -> image, truncated or not, with noise and without."""
    generator = generator_of(form, conv_clamp=1.5 if form == "nvidia-3" else None)
    found = read(tmp_path, FORMATS[form](generator)).generator
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(5))
    state = {name: value.double().numpy() for name, value in generator.state_dict().items()}
    expected = slow_generator.images(
        state, z.double().numpy(), psi=psi, noise=noise, clamp=generator.architecture.conv_clamp
    )
    w = slow_generator.map_to_w(state, z.double().numpy())
    assert np.abs(found.map_to_w(z).numpy() - w).max() < TOLERANCE * np.abs(w).max()
    for fused in (True, False):
        found.fused = fused
        images = found(z, truncation_psi=psi, noise=noise).numpy()
        assert np.abs(images - expected).max() < TOLERANCE * np.abs(expected).max()


def test_what_is_known_of_the_file_is_answered(generator: Generator, tmp_path: Path) -> None:
    data = nvidia(generator)
    found = read(tmp_path, data, expected_sha256=hashlib.sha256(data).hexdigest().upper())
    assert found.file == "network.pkl" and found.size_bytes == len(data)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert "stylegan2-ada-pytorch" in found.kind and "non-commercial" in found.license_note
    assert found.assumed == ()


def test_another_sha256_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="sha256.*00"):
        read(tmp_path, b"no checkpoint", expected_sha256="00")


def test_the_bound_of_activations_is_kept(tmp_path: Path) -> None:
    generator = make_generator(conv_clamp=256.0)
    assert read(tmp_path, nvidia(generator)).generator.architecture.conv_clamp == 256.0
    settings = {"conv_clamp": 256}
    assert read(tmp_path, tensorflow(generator, settings=settings)).generator.architecture.conv_clamp == 256.0


def test_a_pickle_of_the_generator_alone_is_read(generator: Generator, tmp_path: Path) -> None:
    found = read(tmp_path, pickled(persistent(generator))).generator
    assert torch.equal(found.synthesis.b16.conv1.weight, generator.synthesis.b16.conv1.weight)
    with pytest.raises(CheckpointError, match="'G_ema' is a NoneType"):
        read(tmp_path, nvidia(generator, G_ema=None))


def test_a_training_state_has_its_average_w_measured(generator: Generator, tmp_path: Path) -> None:
    found = read(tmp_path, rosinality(generator, average=False))
    assert "average w" in found.assumed[0]
    w = generator.map_to_w(torch.randn(20_000, 6, generator=torch.Generator().manual_seed(9)))
    spread = w.std(dim=0)
    assert ((found.generator.mapping.w_avg - w.mean(dim=0)).abs() < 0.05 * spread).all()


def test_arrays_larger_than_a_text_are_read_from_old_protocols(tmp_path: Path) -> None:
    """Protocol 2 writes bytes as a text of up to twice their length: here one of 2.4 MB for each kernel of 1.6 MB."""
    torch.manual_seed(0)
    large = Generator(resolution=4, z_dim=8, w_dim=8, channels={4: 420}, mapping_layers=1).requires_grad_(False)
    data = tensorflow(large, protocol=2)
    assert len(data) > LONGEST_TEXT and large.synthesis.b4.conv1.weight.nbytes < len(data)
    found = read(tmp_path, data).generator
    assert torch.equal(found.synthesis.b4.conv1.weight, large.synthesis.b4.conv1.weight)


def test_names_behind_data_parallel_are_read(generator: Generator, tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in rosinality_state(generator).items()}
    weight = generator.synthesis.b16.conv1.weight
    assert torch.equal(read(tmp_path, rosinality(generator, g_ema=state)).generator.synthesis.b16.conv1.weight, weight)
    behind = {f"g_ema.{name}": value.clone() for name, value in state.items()}
    assert torch.equal(read(tmp_path, safetensors.torch.save(behind)).generator.synthesis.b16.conv1.weight, weight)


def test_an_average_w_for_each_layer_is_one_if_all_are_the_same(generator: Generator, tmp_path: Path) -> None:
    """Encoders such as pSp and e4e keep (layers, 512)."""
    same = generator.mapping.w_avg.expand(6, -1).clone()
    found = read(tmp_path, rosinality(generator, latent_avg=same, average=False))
    assert torch.equal(found.generator.mapping.w_avg, generator.mapping.w_avg) and found.assumed == ()
    same[3] += 1
    with pytest.raises(CheckpointError, match="latent_avg.*6 layers"):
        read(tmp_path, rosinality(generator, latent_avg=same, average=False))


def test_noise_that_a_file_lacks_is_drawn_and_told(generator: Generator, tmp_path: Path) -> None:
    """rosinality's own 550000.pt is from before its generator kept noise buffers."""
    state = {name: value for name, value in rosinality_state(generator).items() if not name.startswith("noises.")}
    found, again = (read(tmp_path, rosinality(generator, g_ema=state)) for _ in range(2))
    assert found.assumed == ("the noise buffers are not in the file and were drawn with a fixed seed",)
    noise = {name: value for name, value in found.generator.state_dict().items() if name.endswith("noise_const")}
    assert len(noise) == 5 and all(torch.equal(again.generator.state_dict()[name], noise[name]) for name in noise)
    drawn = torch.cat([value.flatten() for value in noise.values()])
    assert len(drawn.unique()) == len(drawn) and abs(drawn.mean()) < 0.1 and abs(drawn.std() - 1) < 0.1
    weight = "synthesis.b16.conv1.weight"
    assert torch.equal(found.generator.state_dict()[weight], generator.state_dict()[weight])
    del state["to_rgb1.bias"], found
    state["noises.noise_0"] = rosinality_state(generator)["noises.noise_0"]
    with pytest.raises(CheckpointError, match="synthesis.b16.conv0.noise_const"):
        read(tmp_path, rosinality(generator, g_ema=state))


@pytest.mark.parametrize("form", ["rosinality", "rosinality-bare", "nvidia names", "nvidia names, embedding"])
def test_networks_with_class_labels_are_refused_by_the_width_of_their_mapping(form: str, tmp_path: Path) -> None:
    """Converters drop the embedding, and leave a first layer that reads z and a label's numbers."""
    generator = make_generator(z_dim=12)
    data = {
        "rosinality": lambda: rosinality(generator),
        "rosinality-bare": lambda: safetensors.torch.save(dict(rosinality_state(generator))),
        "nvidia names": lambda: safetensors.torch.save(dict(generator.state_dict())),
        "nvidia names, embedding": lambda: safetensors.torch.save(
            {**generator.state_dict(), "mapping.embed.weight": torch.zeros(6, 10)}
        ),
    }[form]()
    with pytest.raises(CheckpointError, match="class labels") as refused:
        read(tmp_path, data)
    assert "6 x 12" in str(refused.value) or "reads 12 numbers where w has 6" in str(refused.value)


def test_our_own_format_says_how_wide_z_is(tmp_path: Path) -> None:
    save_generator(make_generator(z_dim=12), tmp_path / "network.safetensors", {})
    assert read_checkpoint(tmp_path / "network.safetensors").generator.z_dim == 12


def test_a_stand_in_says_so_in_the_file_itself(generator: Generator, tmp_path: Path) -> None:
    save_generator(generator, tmp_path / "network.safetensors", {"stand_in": True})
    (tmp_path / "network.json").unlink()
    with pytest.raises(CheckpointError, match="stand-in"):
        read_checkpoint(tmp_path / "network.safetensors")
    assert load_generator(tmp_path / "network.safetensors", None).architecture == generator.architecture


def test_half_precision_is_widened(generator: Generator, tmp_path: Path) -> None:
    state = {name: value.half() for name, value in rosinality_state(generator).items()}
    found = read(tmp_path, rosinality(generator, g_ema=state)).generator
    expected = generator.synthesis.b16.conv1.weight.half().float()
    assert torch.equal(found.synthesis.b16.conv1.weight, expected)


def test_views_and_layouts_are_followed(generator: Generator, tmp_path: Path) -> None:
    """NVIDIA's half-precision nets hold weights with channels last; parts of larger tensors are views."""
    changed = make_generator()
    weight = changed.synthesis.b16.conv1.weight.data.to(memory_format=torch.channels_last)
    changed.synthesis.b16.conv1.weight = torch.nn.Parameter(weight, requires_grad=False)
    changed.synthesis.b4.const = torch.nn.Parameter(torch.stack([torch.zeros(5, 4, 4), changed.synthesis.b4.const])[1])
    found = read(tmp_path, nvidia(changed)).generator
    assert torch.equal(found.synthesis.b16.conv1.weight, weight)
    assert torch.equal(found.synthesis.b4.const, generator.synthesis.b4.const)


def test_our_own_format_is_read(generator: Generator, tmp_path: Path) -> None:
    save_generator(generator, tmp_path / "network.safetensors", {})
    assert read_checkpoint(tmp_path / "network.safetensors").generator.architecture == generator.architecture


@pytest.mark.parametrize(("resolution", "base"), [(256, 16384), (256, 32768), (512, 32768), (1024, 32768)])
def test_official_architectures_can_be_expressed(resolution: int, base: int) -> None:
    with torch.device("meta"):
        generator = Generator(resolution=resolution, channel_base=base, channel_max=512, conv_clamp=256.0)
    channels = {2**k: min(base // 2**k, 512) for k in range(2, resolution.bit_length())}
    assert generator.architecture == Architecture(resolution=resolution, channels=channels, conv_clamp=256.0)


# Generators that ours cannot be


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mapping:c_dim": 10}, "c_dim of mapping '10'"),
        ({"synthesis.b8:architecture": "resnet"}, "the architecture of synthesis.b8 'resnet'"),
        ({"synthesis.b8.conv1:activation": "relu"}, "the activation of synthesis.b8.conv1 'relu'"),
        ({"synthesis.b8.conv1:use_noise": False}, "noise inputs of synthesis.b8.conv1 'False'"),
        ({"synthesis.b8.conv1:up": 2}, "the upsampling of synthesis.b8.conv1 '2'"),
        ({"synthesis.b8.conv1:conv_clamp": 3.0}, "bound their activations"),
        ({"mapping.fc0:weight_gain": 0.5}, "the gain of mapping.fc0 '0.5'"),
        ({"mapping.fc0:bias_gain": 1}, "the bias gain of mapping.fc0 '1.0'"),
        ({"mapping.fc0:activation": "linear"}, "the activation of mapping.fc0 'linear'"),
        ({"synthesis:class_name": "Mystery"}, "'synthesis' of the class 'Mystery'"),
        ({"synthesis.b4:class_name": "SynthesisInput"}, "StyleGAN3 generator"),
        ({":version": 5}, "version of NVIDIA's format"),
        ({":_modules": {}}, "'synthesis'"),
    ],
)
def test_other_networks_of_nvidia_are_named(
    changes: dict[str, Any], reason: str, generator: Generator, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError) as refused:
        read(tmp_path, nvidia(generator, changes=changes))
    assert reason in str(refused.value) and "network.pkl' is not imported" in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"version": 3, "build_func_name": "G_style"}, "StyleGAN1"),
        ({"settings": {"label_size": 10}}, "the setting label_size '10'"),
        ({"settings": {"architecture": "resnet"}}, "the setting architecture 'resnet'"),
        ({"settings": {"num_channels": 1}}, "the setting num_channels '1'"),
        ({"settings": {"mapping_nonlinearity": "relu"}}, "the setting mapping_nonlinearity 'relu'"),
        ({"more": [("ToRGB_lod0/weight", np.zeros((1, 1, 3, 3), "f4"))]}, "configs a to d"),
        ({"more": [("16x16/Skip/weight", np.zeros((1, 1, 3, 3), "f4"))]}, "configs a to d"),
        ({"more": [("8x8/Conv9/weight", np.zeros(3, "f4"))]}, "a variable 'synthesis/8x8/Conv9/weight'"),
        (
            {"more": [("4x4/Conv/weight", np.zeros((3, 3, 5, 9), "f4"))]},
            "has synthesis.b4.conv1.weight as (9, 5, 3, 3)",
        ),
        ({"more": [("4x4/Conv/bias", np.array(["x"], object))]}, "plain numbers"),
        ({"variables": 3}, "a network without variables"),
        ({"components": {}}, "a synthesis network"),
    ],
)
def test_other_networks_of_the_tensorflow_era_are_named(
    arguments: dict[str, Any], reason: str, generator: Generator, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError) as refused:
        read(tmp_path, tensorflow(generator, **arguments))
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"convs.9.conv.weight": torch.zeros(1, 3, 3, 3, 3)}, "lacks synthesis.b32.conv1.weight"),
        ({"strange": torch.zeros(1)}, "'strange'"),
        ({"style.2.weight": torch.zeros(6, 9)}, "has mapping.fc1.weight as (6, 9), expected (6, 6)"),
        ({"style.2.bias": torch.full((6,), torch.nan)}, "mapping.fc1.bias holds infinite"),
        ({"style.2.bias": torch.zeros(6, dtype=torch.int64)}, "mapping.fc1.bias holds int64"),
        ({"style.2.bias": "text"}, "'style.2.bias' as a str"),
        ({"to_rgb1.bias": torch.zeros(1, 1, 1, 1)}, "images of 1 channels"),
    ],
)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_state_dicts_of_other_networks_are_named(
    change: dict[str, Any], reason: str, old: bool, generator: Generator, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError) as refused:
        read(tmp_path, rosinality(generator, old=old, g_ema=rosinality_state(generator) | change))
    assert reason in str(refused.value)


def test_another_low_pass_filter_is_refused(generator: Generator, tmp_path: Path) -> None:
    changed = make_generator()
    changed.synthesis.b8.resample_filter.fill_(1 / 16)
    with pytest.raises(CheckpointError, match="resample_filter"):
        read(tmp_path, nvidia(changed))
