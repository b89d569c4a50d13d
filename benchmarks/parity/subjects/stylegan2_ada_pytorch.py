"""NVIDIA's StyleGAN2: images, mapping, snapshots, and pickles of the TensorFlow era."""

from __future__ import annotations

import io
import pickle
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import theirs
from benchmarks.parity.measures import RELATIVE, largest, relative

if TYPE_CHECKING:
    from torch import Tensor, nn

Z_DIM, W_DIM = 96, 80
SMALL: tuple[dict[str, Any], ...] = (
    {"resolution": 64, "channel_base": 4096, "channel_max": 128},
    {"resolution": 64, "channel_base": 4096, "channel_max": 128, "conv_clamp": 0.5, "mapping_layers": 2},
    {"resolution": 128, "channel_base": 4096, "channel_max": 64, "conv_clamp": 256.0},
)
LARGE: tuple[dict[str, Any], ...] = ({"resolution": 256, "channel_base": 16384, "channel_max": 512, "conv_clamp": 2.0},)
FULL: tuple[dict[str, Any], ...] = (
    {"resolution": 1024, "channel_base": 32768, "channel_max": 512, "conv_clamp": 256.0},
)
TRUNCATIONS = ((1.0, None), (0.7, 8), (0.5, None), (0.5, 8))
SPREADS = {"noise_strength": 0.3, "w_avg": 0.5, "bias": 0.2}  # that are added to what starts at 0 or 1


def generator_of(sizes: dict[str, Any]) -> nn.Module:
    """Their generator with weights in which no path is silent, from one seed."""
    import torch

    torch.manual_seed(1)
    synthesis = {key: sizes[key] for key in ("channel_base", "channel_max", "conv_clamp") if key in sizes}
    made: nn.Module = theirs("training.networks").Generator(
        z_dim=Z_DIM,
        c_dim=0,
        w_dim=W_DIM,
        img_resolution=sizes["resolution"],
        img_channels=3,
        mapping_kwargs={"num_layers": sizes.get("mapping_layers", 8)},
        synthesis_kwargs=synthesis,
    )
    with torch.no_grad():
        for name, value in made.state_dict().items():
            scale = SPREADS.get(name.split(".")[-1], 0.0)
            if "mapping.fc" in name and name.endswith("bias"):
                scale = 20.0
            value += scale * torch.randn(value.shape)
    return made.eval().requires_grad_(False)


def codes(count: int, width: int = Z_DIM) -> Tensor:
    """z (count, width) of one seed."""
    import torch

    return torch.randn(count, width, generator=torch.Generator().manual_seed(3))


def images(sizes: tuple[dict[str, Any], ...], *, fused: bool, once: bool = False) -> Measured:
    """Images of the same weights, truncated or not, with fixed noise and without; or `once`, one truncated image."""
    from stylegan.generator import Generator

    worst = 0.0
    for each in sizes:
        known = generator_of(each)
        own = Generator(z_dim=Z_DIM, w_dim=W_DIM, fused=fused, **each).eval().requires_grad_(False)
        own.load_state_dict(known.state_dict(), strict=True)
        z = codes(1 if once else 2)
        for psi, cutoff in TRUNCATIONS[1 if once else 0 : 2]:
            for noise in ("const",) if once else ("const", "none"):
                expected = known(z, None, truncation_psi=psi, truncation_cutoff=cutoff, noise_mode=noise)
                found = own(z, truncation_psi=psi, truncation_cutoff=cutoff, noise=noise)
                worst = max(worst, relative(found, expected))
    return Measured(worst)


def mapping() -> Measured:
    """Codes ws, truncated in several ways."""
    from stylegan.generator import Generator

    known = generator_of(SMALL[0])
    own = Generator(z_dim=Z_DIM, w_dim=W_DIM, **SMALL[0]).eval().requires_grad_(False)
    own.load_state_dict(known.state_dict(), strict=True)
    z, worst = codes(16), 0.0
    for psi, cutoff in TRUNCATIONS:
        expected = known.mapping(z, None, truncation_psi=psi, truncation_cutoff=cutoff)
        worst = max(worst, largest(own.mapping(z, truncation_psi=psi, truncation_cutoff=cutoff), expected))
    return Measured(worst)


def snapshot() -> Measured:
    """A snapshot as their training loop pickles it, read by `weights import`'s reader, which runs nothing of it."""
    from stylegan.checkpoints.reading import read_checkpoint

    networks = theirs("training.networks")
    worst = 0.0
    for sizes in (SMALL[2], {**SMALL[0], "mapping_layers": 2, "conv_clamp": 256.0}):
        known = generator_of(sizes)
        judge = networks.Discriminator(c_dim=0, img_resolution=32, img_channels=3, channel_base=256, channel_max=32)
        other = generator_of({**sizes, "conv_clamp": None})  # G, which is not the one to take
        content = {"G": other, "D": judge, "G_ema": known, "augment_pipe": None, "training_set_kwargs": {"path": "x"}}
        own = read(pickle.dumps(content, 4), read_checkpoint)
        expected = known(codes(2), None, truncation_psi=0.7, noise_mode="const", force_fp32=True)
        worst = max(worst, relative(own(codes(2), truncation_psi=0.7), expected))
    return Measured(worst)


def of_tensorflow() -> Measured:
    """A (G, D, Gs) pickle in TensorFlow's layout, by our reader and by their own `legacy.convert_tf_generator`."""
    import torch

    from stylegan.checkpoints.reading import read_checkpoint
    from stylegan.generator import Generator
    from tests.builders.checkpoint_files import tensorflow

    sizes = SMALL[0]
    own = Generator(z_dim=Z_DIM, w_dim=W_DIM, **sizes).eval().requires_grad_(False)
    own.load_state_dict(generator_of(sizes).state_dict())
    settings = {"latent_size": Z_DIM, "dlatent_size": W_DIM, "fmap_base": sizes["channel_base"] // 2}
    data = tensorflow(own, settings=settings | {"fmap_max": sizes["channel_max"]})
    legacy = theirs("legacy")
    known = legacy.convert_tf_generator(legacy._LegacyUnpickler(io.BytesIO(data)).load()[2])
    with torch.no_grad():
        expected = known(codes(2), None, truncation_psi=0.7, noise_mode="const")
    return Measured(relative(read(data, read_checkpoint)(codes(2), truncation_psi=0.7), expected))


def read(data: bytes, reader: Any) -> Any:
    """The generator that the reader finds in a file of these bytes."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "network.pkl"
        path.write_bytes(data)
        return reader(path).generator


SUBJECT = Subject(
    checkout=Checkout("stylegan2-ada-pytorch", "NVlabs/stylegan2-ada-pytorch", "d72cc7d"),
    comparisons=(
        Comparison("mapping", "codes ws; psi 1, .7 to layer 8, .5, .5 to layer 8", "16 codes", mapping, 1e-6),
        Comparison(
            "plain",
            "images at 64 and 128 px, plain form; psi 1, .7; noise const, none; conv_clamp none, .5, 256",
            "3 sizes x 8",
            lambda: images(SMALL, fused=False),
            2e-6,
            RELATIVE,
        ),
        Comparison(
            "fused",
            "the same, fused form, which a run uses",
            "3 sizes x 8",
            lambda: images(SMALL, fused=True),
            2e-5,
            RELATIVE,
        ),
        Comparison(
            "fused_256",
            "images at 256 px, half of config-f's width, fused form",
            "8",
            lambda: images(LARGE, fused=True),
            2e-5,
            RELATIVE,
        ),
        Comparison(
            "fused_1024",
            "an image at 1024 px, config-f, conv_clamp 256, psi .7 to layer 8, fused form",
            "1",
            lambda: images(FULL, fused=True, once=True),
            2e-5,
            RELATIVE,
        ),
        Comparison(
            "snapshot",
            "import of their snapshot: (G, D, G_ema, ...) pickled by their classes",
            "2 files",
            snapshot,
            2e-5,
            RELATIVE,
        ),
        Comparison(
            "tensorflow",
            "import of a (G, D, Gs) pickle, beside their legacy.convert_tf_generator",
            "1 file",
            of_tensorflow,
            2e-5,
            RELATIVE,
        ),
    ),
    shims=("their custom operations fall back to plain torch on a CPU, as they are written to",),
)
