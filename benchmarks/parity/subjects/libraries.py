"""Installed libraries: scipy, statsmodels, scikit-image, lpips. No checkout."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Comparison, Measured, Subject
from benchmarks.parity.measures import largest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

FAMILIES, METHODS, DATA_SETS = 200, 12, 300


def holm() -> Measured:
    """Adjusted p values of random families, ties and zeros among them."""
    import numpy as np
    from statsmodels.stats.multitest import multipletests

    from pipeline.statistics.differences import holm as adjusted

    rng, worst = np.random.default_rng(81), 0.0
    for _ in range(FAMILIES):
        p = np.round(rng.uniform(size=rng.integers(1, 60)) ** 3, 2)
        worst = max(worst, largest(adjusted(p), multipletests(p, method="holm")[1]))
    return Measured(worst)


def ranks() -> Measured:
    """Ranks of means, ties among them, by scipy's rankdata with its method 'min'."""
    import numpy as np
    from scipy.stats import rankdata

    from pipeline.statistics.bootstrap import Bootstrap
    from pipeline.statistics.differences import FaceSums
    from pipeline.statistics.ranks import ranked

    rng, worst = np.random.default_rng(82), 0.0
    for _ in range(FAMILIES // 4):
        sums = rng.integers(0, 3, size=(METHODS, 5)).astype(float)
        means = FaceSums(sums, np.ones_like(sums))
        own = ranked(Bootstrap(samples=20), means, np.ones(METHODS, dtype=bool), lower_is_better=True)
        worst = max(worst, largest(own.rank, rankdata(sums.mean(axis=1), method="min")))
        first = own.first.sum()
        worst = max(worst, abs(float(first) - 1.0))
    return Measured(worst)


def tests(faces: int) -> tuple[np.ndarray, np.ndarray]:
    """p values of the difference of two means on the same faces: ours, and scipy's paired t test's."""
    import numpy as np
    from scipy.stats import ttest_rel

    from pipeline.statistics.bootstrap import Bootstrap
    from pipeline.statistics.differences import FaceSums, paired

    rng = np.random.default_rng([83, faces])
    first = rng.normal(size=(DATA_SETS, faces))
    second = first * 0.5 + rng.normal(size=(DATA_SETS, faces)) + rng.normal(size=(DATA_SETS, 1)) / faces**0.5
    one, other = (FaceSums(each, np.ones_like(each)) for each in (first, second))
    return paired(Bootstrap(samples=1000), one, other).p, ttest_rel(first, second, axis=1).pvalue


def agreement(faces: int) -> Measured:
    """1 less Spearman's correlation of both tests' p values; and how often each is below .05."""
    from scipy.stats import spearmanr

    own, known = tests(faces)
    rates = [f"p < .05 in {float((p < 0.05).mean()):.3f}" for p in (own, known)]
    return Measured(1 - float(spearmanr(own, known).statistic), *rates)


def intervals(faces: int) -> Measured:
    """Width of our interval of a mean, one image a face, over that of the t interval: 1 less the mean ratio."""
    import numpy as np
    from scipy.stats import t

    from pipeline.statistics.bootstrap import Bootstrap

    rng, ratios = np.random.default_rng([84, faces]), []
    for _ in range(DATA_SETS):
        values = rng.normal(size=faces)
        own = Bootstrap(samples=1000).mean(values, np.arange(faces))
        half = t.ppf(0.975, faces - 1) * values.std(ddof=1) / faces**0.5
        ratios.append((float(own.high or np.nan) - float(own.low or np.nan)) / (2 * half))
    mean = float(np.mean(ratios))
    return Measured(abs(1 - mean), f"{mean:.3f} of t's width")


def pictures() -> tuple[Tensor, Tensor]:
    """16 generated faces and the same with noise."""
    import torch

    from benchmarks.parity.embedded import codes_z, domain

    with torch.inference_mode():
        images = domain().generator(torch.from_numpy(codes_z(16))).clamp(-1, 1)
    rng = torch.Generator().manual_seed(85)
    return images.clone(), (images + 0.2 * torch.randn(images.shape, generator=rng)).clamp(-1, 1)


def ssim() -> Measured:
    """Structural similarity by scikit-image: Gaussian window of deviation 1.5, population covariance."""
    import numpy as np
    from skimage.metrics import structural_similarity as known

    from pipeline.networks.pairs import structural_similarity

    images, others = pictures()
    expected = []
    for one, other in zip(*(((part.double() + 1) / 2).numpy() for part in (images, others)), strict=True):
        _, full = known(
            one,
            other,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        inner = full[:, 5:-5, 5:-5]  # where the window of 11 pixels lies within the image, as ours
        expected.append(inner.mean())
    return Measured(largest(structural_similarity(images, others), np.array(expected)))


def lpips_without_heads() -> Measured:
    """The embedded domain's distance beside its formula on the perception net's own maps."""
    import torch

    from benchmarks.parity.embedded import domain
    from pipeline.networks.pairs import perceptual_distance

    images, others = pictures()
    net, expected = domain().perception, 0.0
    with torch.no_grad():
        for one, other in zip(net.maps(images), net.maps(others), strict=True):
            unit = [maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for maps in (one, other)]
            expected = expected + (unit[0] - unit[1]).square().sum(dim=1).mean(dim=(1, 2))
        return Measured(largest(perceptual_distance(net)(images, others).flatten(), expected))


def lpips_alex() -> Measured:
    """Our AlexNet of a weight file, random here, beside the package's own with the same backbone."""
    import lpips
    import torch
    import torchvision

    from pipeline.networks.official import perceptual_alexnet

    torch.manual_seed(86)
    backbone = torchvision.models.alexnet(weights=None)
    known: Any = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    for name, tensor in known.net.state_dict().items():
        tensor.copy_(backbone.state_dict()[f"features.{name.partition('.')[2]}"])
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "alexnet.pth"
        torch.save(backbone.state_dict(), path)
        own = perceptual_alexnet(SimpleNamespace(require=lambda _: path))  # type: ignore[arg-type]
    images, others = pictures()
    with torch.no_grad():
        return Measured(largest(own(images, others), known(images, others)))


SUBJECT = Subject(
    comparisons=(
        Comparison(
            "holm", "Holm's adjusted p, by statsmodels", f"{FAMILIES} families", holm, 1e-12, needs=("statsmodels",)
        ),
        Comparison("ranks", "ranks by rankdata; shares of being first sum to 1", f"50 x {METHODS}", ranks, 1e-9),
        *(
            Comparison(
                f"paired_p_{faces}",
                f"p of a difference on {faces} faces, by ttest_rel",
                f"{DATA_SETS} data sets",
                lambda faces=faces: agreement(faces),
                0.02,
                "1 - Spearman",
            )
            for faces in (8, 16, 50)
        ),
        *(
            Comparison(
                f"interval_{faces}",
                f"width of the 95 % interval of a mean, {faces} faces, by t",
                f"{DATA_SETS} data sets",
                lambda faces=faces: intervals(faces),
                0.05,
                "of t's",
            )
            for faces in (4, 8, 50)
        ),
        Comparison("ssim", "SSIM, by scikit-image", "16 pairs", ssim, 1e-4, needs=("skimage",)),
        Comparison(
            "lpips_without_heads",
            "LPIPS without heads, its formula",
            "16 pairs",
            lpips_without_heads,
            1e-6,
            formula=True,
        ),
        Comparison(
            "lpips_alex", "LPIPS of AlexNet (random backbone, its heads), by the package", "16 pairs", lpips_alex, 1e-6
        ),
    ),
)
