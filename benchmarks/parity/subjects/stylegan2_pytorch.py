"""rosinality's StyleGAN2: its .pt files, imported and compared with its own generator."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import theirs
from benchmarks.parity.measures import RELATIVE, relative

if TYPE_CHECKING:
    from torch import nn

MAPPING_LAYERS = 8


def generator_of(size: int, multiplier: int) -> nn.Module:
    """Their generator with weights in which no path is silent, from one seed."""
    import torch
    from torch.utils import cpp_extension

    cpp_extension.load = lambda *_, **__: SimpleNamespace()  # on a CPU they never call what it compiles
    torch.manual_seed(2)
    made: nn.Module = theirs("model").Generator(size, 512, MAPPING_LAYERS, channel_multiplier=multiplier)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if name.endswith(("noise.weight", "bias")):
                value += (20.0 if name.startswith("style") else 0.3) * torch.randn(value.shape)
    return made.eval().requires_grad_(False)


def imported(size: int, multiplier: int, *, average: bool) -> tuple[nn.Module, Any, Any]:
    """Their generator, its average w, and ours from the .pt that holds both; or from a training state without it."""
    import torch

    from stylegan.checkpoints.reading import read_checkpoint

    known = generator_of(size, multiplier)
    torch.manual_seed(4)
    mean: Any = known.mean_latent(4096)[0]
    content: dict[str, Any] = {"g_ema": known.state_dict()}
    content |= {"latent_avg": mean} if average else {"g": known.state_dict(), "ada_aug_p": 0.0}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "network.pt"
        torch.save(content, path)
        return known, mean, read_checkpoint(path).generator


def pictures(size: int, multiplier: int) -> Measured:
    """Images of the imported file, at three truncations."""
    import torch

    known, mean, own = imported(size, multiplier, average=True)
    z = torch.randn(2, 512, generator=torch.Generator().manual_seed(5))
    worst = 0.0
    for psi in (1.0, 0.7, 0.5):
        expected = known([z], truncation=psi, truncation_latent=mean[None], randomize_noise=False)[0]
        worst = max(worst, relative(own(z, truncation_psi=psi), expected))
    return Measured(worst)


def unaveraged() -> Measured:
    """Images at psi 1 of a training state, which holds no average w."""
    import torch

    known, _, own = imported(64, 2, average=False)
    z = torch.randn(2, 512, generator=torch.Generator().manual_seed(5))
    return Measured(relative(own(z), known([z], randomize_noise=False)[0]))


SUBJECT = Subject(
    checkout=Checkout("stylegan2-pytorch", "rosinality/stylegan2-pytorch", "bef283a"),
    comparisons=(
        Comparison(
            "import_64",
            "import of a .pt (g_ema, latent_avg), 64 px, multiplier 2; psi 1, .7, .5",
            "2 x 3",
            lambda: pictures(64, 2),
            2e-5,
            RELATIVE,
        ),
        Comparison(
            "import_256",
            "the same, 256 px, multiplier 1",
            "2 x 3",
            lambda: pictures(256, 1),
            2e-5,
            RELATIVE,
        ),
        Comparison(
            "import_training_state",
            "import of a training state, without latent_avg; psi 1",
            "2",
            unaveraged,
            2e-5,
            RELATIVE,
        ),
    ),
    shims=("torch.utils.cpp_extension.load answers an empty object: their operations are plain torch on a CPU",),
)
