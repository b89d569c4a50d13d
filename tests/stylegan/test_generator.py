"""The generator as a whole: names, truncation, noise, features, styles, gradients."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan.architecture import Architecture, default_channels
from stylegan.generator import Generator

CHANNELS = {4: 6, 8: 5, 16: 4}


def make_generator(**changes: Any) -> Generator:
    """A small generator in which noise and biases matter."""
    arguments: dict[str, Any] = dict(resolution=16, z_dim=12, w_dim=10, channels=CHANNELS, mapping_layers=2)
    torch.manual_seed(0)
    generator = Generator(**(arguments | changes)).eval()
    with torch.no_grad():
        for name, value in generator.state_dict().items():
            if name.endswith(("noise_strength", "bias", "w_avg")):
                value += 0.3 * torch.randn(value.shape)
    return generator


@pytest.fixture
def generator() -> Generator:
    return make_generator()


def random_z(n: int, z_dim: int = 12, seed: int = 1) -> Tensor:
    return torch.randn(n, z_dim, generator=torch.Generator().manual_seed(seed))


def test_shapes(generator: Generator) -> None:
    z = random_z(3)
    assert (generator.resolution, generator.num_ws) == (16, 6)
    assert (generator.z_dim, generator.w_dim) == (12, 10)
    assert generator.map_to_w(z).shape == (3, 10)
    ws = generator.mapping(z)
    assert ws.shape == (3, 6, 10)
    images = generator.synthesis(ws)
    assert images.shape == (3, 3, 16, 16)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    torch.testing.assert_close(generator(z), images)


def test_state_dict_has_the_public_names(generator: Generator) -> None:
    affine = {"weight", "bias", "affine.weight", "affine.bias"}
    conv = affine | {"noise_const", "noise_strength", "resample_filter"}
    expected = {"mapping.w_avg"}
    expected |= {f"mapping.fc{k}.{name}" for k in (0, 1) for name in ("weight", "bias")}
    for r in CHANNELS:
        expected.add(f"synthesis.b{r}.resample_filter")
        expected |= {f"synthesis.b{r}.torgb.{name}" for name in affine}
        for layer in ("conv1",) if r == 4 else ("conv0", "conv1"):
            expected |= {f"synthesis.b{r}.{layer}.{name}" for name in conv}
    expected.add("synthesis.b4.const")
    assert set(generator.state_dict()) == expected
    assert generator.state_dict()["synthesis.b8.conv0.weight"].shape == (5, 6, 3, 3)
    assert generator.state_dict()["synthesis.b8.conv0.affine.weight"].shape == (6, 10)
    assert generator.state_dict()["synthesis.b8.torgb.weight"].shape == (3, 5, 1, 1)


def test_noise_is_a_buffer_and_its_strength_a_parameter(generator: Generator) -> None:
    buffers = {name.split(".")[-1] for name, _ in generator.named_buffers()}
    assert buffers == {"w_avg", "noise_const", "resample_filter"}


def test_config_f_has_its_known_size() -> None:
    """NVIDIA's own synthesis network of 1024 px, built with its defaults, has this many."""
    with torch.device("meta"):
        generator = Generator(resolution=1024)
    assert generator.num_ws == 18
    assert generator.architecture.channels[1024] == 32
    assert sum(p.numel() for p in generator.synthesis.parameters()) == 28_268_812
    assert sum(b.numel() for b in generator.synthesis.buffers()) == 2_796_592


def test_default_channels_follow_base_and_max() -> None:
    assert default_channels(16, channel_base=64, channel_max=10) == {4: 10, 8: 8, 16: 4}


# Truncation


def test_truncation_draws_to_the_average(generator: Generator) -> None:
    z = random_z(4)
    w, average = generator.map_to_w(z), generator.mapping.w_avg
    ws = generator.mapping(z, truncation_psi=0.25)
    expected = average + 0.25 * (w - average)
    for layer in range(6):
        torch.testing.assert_close(ws[:, layer], expected)


def test_truncation_stops_at_the_cutoff(generator: Generator) -> None:
    z = random_z(4)
    full = generator.mapping(z)
    cut = generator.mapping(z, truncation_psi=0.25, truncation_cutoff=2)
    everywhere = generator.mapping(z, truncation_psi=0.25)
    assert torch.equal(cut[:, 2:], full[:, 2:])
    assert torch.equal(cut[:, :2], everywhere[:, :2])
    assert torch.equal(generator.mapping(z, truncation_psi=0.25, truncation_cutoff=0), full)
    assert torch.equal(generator.mapping(z, truncation_psi=0.25, truncation_cutoff=6), everywhere)


def test_truncation_of_one_and_zero(generator: Generator) -> None:
    z = random_z(2)
    w = generator.map_to_w(z)
    assert torch.equal(generator.mapping(z), w[:, None].repeat(1, 6, 1))
    zero = generator.mapping(z, truncation_psi=0.0)
    torch.testing.assert_close(zero, generator.mapping.w_avg.expand(2, 6, 10))


def test_the_codes_of_one_face_do_not_share_memory(generator: Generator) -> None:
    """Editing methods write into single layers of ws."""
    ws = generator.mapping(random_z(2)).detach()
    before = ws.clone()
    ws[:, 0] += 1
    assert torch.equal(ws[:, 1:], before[:, 1:])


def test_average_w_is_measured_and_never_moves_by_itself(generator: Generator) -> None:
    generator.train()
    before = generator.mapping.w_avg.clone()
    generator(random_z(4))
    assert torch.equal(generator.mapping.w_avg, before)
    generator.mapping.measure_average_w(samples=5000, seed=3)
    sample = generator.map_to_w(random_z(5000, seed=9)).mean(dim=0)
    torch.testing.assert_close(generator.mapping.w_avg, sample, rtol=0.1, atol=0.1)
    w = generator.map_to_w(random_z(64))
    before = generator.mapping.w_avg.clone()
    generator.mapping.track_average_w(w, decay=0.9)
    torch.testing.assert_close(generator.mapping.w_avg, 0.9 * before + 0.1 * w.detach().mean(dim=0))


# Noise and determinism


def test_constant_noise_gives_the_same_pixels_every_time(generator: Generator) -> None:
    ws = generator.mapping(random_z(2))
    first = generator.synthesis(ws)
    assert torch.equal(first, generator.synthesis(ws))
    assert torch.equal(first, copy.deepcopy(generator).synthesis(ws))
    assert not torch.allclose(first, generator.synthesis(ws, noise="none"))


def test_no_noise_is_noise_of_strength_zero(generator: Generator) -> None:
    ws = generator.mapping(random_z(2))
    silent = copy.deepcopy(generator)
    with torch.no_grad():
        for name, value in silent.state_dict().items():
            if name.endswith("noise_strength"):
                value.zero_()
    torch.testing.assert_close(silent.synthesis(ws), generator.synthesis(ws, noise="none"))


def test_random_noise_follows_its_generator(generator: Generator) -> None:
    ws = generator.mapping(random_z(2))

    def draw(seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        images: Tensor = generator.synthesis(ws, noise="random", rng=rng)
        return images

    assert torch.equal(draw(1), draw(1))
    assert not torch.allclose(draw(1), draw(2))


def test_an_image_does_not_depend_on_its_batch(generator: Generator) -> None:
    ws = generator.mapping(random_z(7))
    with torch.no_grad():
        together = generator.synthesis(ws)
        alone = torch.cat([generator.synthesis(ws[k : k + 1]) for k in range(7)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_an_empty_batch_is_an_empty_answer(generator: Generator) -> None:
    with torch.no_grad():
        assert generator(random_z(0)).shape == (0, 3, 16, 16)


# Features and styles


@pytest.mark.parametrize("fused", [True, False])
def test_features_are_what_the_image_is_made_of(generator: Generator, fused: bool) -> None:
    """The image made from the features of all blocks by hand is the image."""
    generator.fused = fused
    ws = generator.mapping(random_z(2))
    image = torch.zeros(2, 3, 2, 2)
    for _, block in generator.synthesis.blocks():
        x = generator.features(ws, block.resolution)
        assert x.shape == (2, CHANNELS[block.resolution], block.resolution, block.resolution)
        image = block.add_to_image(image, x, ws, forms=generator.synthesis.forms)
    torch.testing.assert_close(image, generator.synthesis(ws))


def test_features_do_not_see_later_codes(generator: Generator) -> None:
    ws = generator.mapping(random_z(2))
    changed = ws.clone()
    changed[:, 3:] += 1
    assert torch.equal(generator.features(ws, "b8"), generator.features(changed, 8))
    assert not torch.allclose(generator.features(ws, "b16"), generator.features(changed, "b16"))


def test_each_layer_reads_the_code_that_affine_weights_names(generator: Generator) -> None:
    """As in NVIDIA's code: torgb shares its code with the next block's conv0."""
    expected = {
        "b4.conv1": 0,
        "b4.torgb": 1,
        "b8.conv0": 1,
        "b8.conv1": 2,
        "b8.torgb": 3,
        "b16.conv0": 3,
        "b16.conv1": 4,
        "b16.torgb": 5,
    }
    assert {a.name: a.ws_index for a in generator.affine_weights()} == expected
    ws = generator.mapping(random_z(2)).detach().requires_grad_()
    for name, layer in generator.synthesis.named_modules():
        if name in expected:
            inputs: list[Tensor] = []
            handle = layer.register_forward_hook(lambda _, args, __, to=inputs: to.append(args[1]))
            generator.synthesis(ws)
            handle.remove()
            assert torch.equal(inputs[0], ws[:, expected[name]])


def test_styles_are_the_affine_weights_times_w(generator: Generator) -> None:
    ws = generator.mapping(random_z(3)) + torch.randn(3, 6, 10)
    biases = [layer.affine.bias for _, _, layer in generator.synthesis.styled_layers()]
    styles = generator.styles(ws)
    assert len(styles) == len(generator.affine_weights()) == 8
    for style, affine, bias in zip(styles, generator.affine_weights(), biases, strict=True):
        torch.testing.assert_close(style, ws[:, affine.ws_index] @ affine.weight.T + bias)


# Gradients


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_are_those_of_finite_differences(fused: bool) -> None:
    generator = make_generator(resolution=8, channels={4: 3, 8: 2}, fused=fused).double()
    z = random_z(2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: generator(z)[:, :, ::3, ::3], [z], fast_mode=True)
    ws = generator.mapping(z.detach()).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda ws: generator.synthesis(ws)[:, :, ::3, ::3], [ws], fast_mode=True)


@pytest.mark.parametrize("fused", [True, False])
def test_every_parameter_gets_a_gradient(fused: bool) -> None:
    generator = make_generator(fused=fused).train()
    generator(random_z(2)).square().mean().backward()
    parameters = dict(generator.named_parameters())
    assert parameters
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


@pytest.mark.parametrize("fused", [True, False])
def test_path_length_has_a_gradient(fused: bool) -> None:
    """Path-length regularisation differentiates a gradient with respect to ws."""
    generator = make_generator(fused=fused).train()
    ws = generator.mapping(random_z(2))
    (gradient,) = torch.autograd.grad(generator.synthesis(ws).sum(), ws, create_graph=True)
    gradient.square().sum().backward()
    assert float(generator.synthesis.b16.conv0.weight.grad.abs().sum()) > 0


# What cannot be built or computed


@pytest.mark.parametrize("resolution", [0, 2, 48, 1000, -64])
def test_resolutions_are_powers_of_two(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"not {resolution}"):
        Generator(resolution=resolution)


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_other_architectures_are_refused(architecture: str) -> None:
    with pytest.raises(ValueError, match=f"'skip'.*'{architecture}'"):
        Generator(resolution=16, architecture=architecture)


def test_channels_must_name_every_resolution() -> None:
    with pytest.raises(ValueError, match=r"\[4, 8, 16\].*\[4, 16\]"):
        Generator(resolution=16, channels={4: 8, 16: 8})
    with pytest.raises(ValueError, match=r"channels\[4\]"):
        Architecture(resolution=4, channels={4: 0})


def test_wrong_arguments_are_named(generator: Generator) -> None:
    ws = generator.mapping(random_z(2))
    with pytest.raises(ValueError, match=r"z .*\(batch, 12\).*\(2, 9\)"):
        generator.map_to_w(torch.zeros(2, 9))
    with pytest.raises(ValueError, match=r"ws .*\(batch, 6, 10\).*\(2, 10\)"):
        generator.synthesis(ws[:, 0])
    with pytest.raises(ValueError, match="'konst'.*const, none, random"):
        generator.synthesis(ws, noise="konst")
    with pytest.raises(ValueError, match="'b32'.*b4, b8, b16"):
        generator.features(ws, "b32")
    with pytest.raises(ValueError, match="12.*b4, b8, b16"):
        generator.features(ws, 12)


def test_building_one_leaves_the_class_switchable(generator: Generator) -> None:
    assert generator.fused
    generator.fused = False
    assert not generator.synthesis.fused
