"""The domain with stand-ins for all its networks: they load, see faces, and measure as the libraries do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid import fid as cleanfid
from torch import Tensor
from typer.testing import CliRunner

from pipeline.chain.views import compare_views, look, synthesise
from pipeline.domains import base
from pipeline.domains.base import Domain
from pipeline.domains.ffhq import domain as ffhq
from pipeline.domains.ffhq.stand_ins import make
from pipeline.images import save_png
from pipeline.metrics.fid import frechet_distance
from pipeline.networks.inception import pixels_of
from pipeline.settings.downloads import Sources
from pipeline.weights.marks import is_marked
from pipeline.weights.table import read_table
from stylegan.layers import resampling_filter, upsample
from tasks.cli import app

KEPT = 4  # of the 2048 features: a covariance of few images that has an inverse


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("ffhq") / "stand-ins"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTBENCH_WEIGHTS", str(folder))
        patch.delenv("LUIGI_CONFIG_PATH", raising=False)
        make(folder, "narrow")
        yield folder


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Domain:
    return ffhq.load(torch.device("cpu"), Sources())


@pytest.fixture(scope="module")
def codes() -> Tensor:
    """ws (12, 10, 512) of domain synthface, whose w these are too."""
    small = base.load("synthface", "cpu").generator
    z = torch.randn(12, 512, generator=torch.Generator().manual_seed(21))
    with torch.inference_mode():
        return small.mapping.broadcast(small.map_to_w(z))


@pytest.fixture(scope="module")
def images(loaded: Domain, codes: Tensor) -> Tensor:
    with torch.inference_mode():
        return synthesise(loaded, loaded.generator.mapping.broadcast(codes[:, 0]))


def test_the_generator_draws_synthface_s_faces(loaded: Domain, codes: Tensor, images: Tensor) -> None:
    small = base.load("synthface", "cpu")
    with torch.inference_mode():
        picture = small.generator.synthesis(codes)
        for _ in range(2):
            picture = upsample(picture, resampling_filter())
    torch.testing.assert_close(images, picture.clamp(-1, 1), rtol=0, atol=1e-4)
    assert loaded.mean_distance == small.mean_distance
    assert loaded.card.resolution == images.shape[-1] == 256


def test_every_judge_sees_an_image(loaded: Domain, images: Tensor) -> None:
    with torch.inference_mode():
        view = look(loaded, images[:4], 0.9)
        columns = compare_views(loaded, view, view[torch.tensor([1, 0, 2, 3])])
    assert view.found.all() and view.values.shape == (4, 35) and view.person.shape == (4, 0)
    assert view.features.shape == (4, 2048) and view.logits.shape == (4, 1008)
    for embeddings in (view.recognizer_a, view.recognizer_b):
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4))
    assert not torch.allclose(view.recognizer_a, view.recognizer_b)
    assert columns["lpips"][:2].min() > 1e-3 and columns["lpips"][2:].abs().max() == 0
    assert columns["ssim"][:2].max() < 0.99 and "true_identity_distance" not in columns


def test_what_trains_passes_gradients(loaded: Domain, codes: Tensor) -> None:
    ws = loaded.generator.mapping.broadcast(codes[:1, 0]).clone().requires_grad_()
    images = loaded.generator.synthesis(ws)
    for network in (loaded.scorer_a, loaded.recognizer_a):
        (gradient,) = torch.autograd.grad(network(images).square().cumsum(dim=1).sum(), ws, retain_graph=True)
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0


def test_images_are_judged_alike_in_any_batch(loaded: Domain, images: Tensor) -> None:
    with torch.inference_mode():
        whole, single = look(loaded, images[:3], 0.9), look(loaded, images[1:2], 0.9)
    for name in ("values", "recognizer_a", "recognizer_b", "features", "mtcnn"):
        torch.testing.assert_close(getattr(whole, name)[1:2], getattr(single, name), rtol=1e-3, atol=1e-4)


def test_fid_is_clean_fid_s_over_the_saved_pictures(loaded: Domain, images: Tensor, tmp_path: Path) -> None:
    """Its folder functions on PNGs, with the very network, against ours on the images on the device."""
    sets = {"one": images[:6], "other": images[6:].flip(3) * 0.8}
    for name, pictures in sets.items():
        (tmp_path / name).mkdir()
        for index, picture in enumerate(pictures):
            save_png(picture, tmp_path / name / f"{index}.png")

    def extract(batch: Tensor) -> Tensor:
        features: Tensor = loaded.perception.network(batch)[:, :KEPT]  # type: ignore[union-attr, operator, index]
        return features

    options = {"num_workers": 0, "device": torch.device("cpu"), "use_dataparallel": False, "verbose": False}
    theirs = cleanfid.compute_fid(
        str(tmp_path / "one"), str(tmp_path / "other"), mode="clean", custom_feat_extractor=extract, **options
    )
    found = [loaded.perception.both(pictures)[0][:, :KEPT].double().numpy() for pictures in sets.values()]
    moments = [(features.mean(axis=0), np.cov(features, rowvar=False)) for features in found]
    assert theirs > 0
    assert frechet_distance(*moments[0], *moments[1]) == pytest.approx(theirs, rel=1e-4)


def test_class_logits_are_the_network_s_own_without_bias(loaded: Domain, images: Tensor) -> None:
    """Its probabilities as NVIDIA's code asks for them, given images that need no resizing."""
    pixels = pixels_of(images[:2])
    probabilities = loaded.perception.network.base(pixels, no_output_bias=True)  # type: ignore[union-attr, operator]
    ours = loaded.perception.both(pixels.round() / 127.5 - 1)[1].softmax(dim=1)
    torch.testing.assert_close(ours, probabilities, rtol=2e-2, atol=1e-5)
    biased = loaded.perception.network.base(pixels)  # type: ignore[union-attr, operator]
    assert (biased - probabilities).abs().max() > 1e-6


def test_making_them_again_changes_nothing(folder: Path) -> None:
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}
    make(folder, "narrow")
    kept = {name: stamp for name, stamp in before.items() if not name.startswith(".")}
    assert kept == {n: (p.stat().st_mtime_ns, p.stat().st_size) for n in kept if (p := folder / n).exists()}


def test_each_says_what_it_is_wherever_it_is_brought(folder: Path, tmp_path: Path) -> None:
    table = read_table()
    for name in ("inception", "alexnet", "vggface2", "casia-webface"):
        assert is_marked(folder / table[name].file), name
    refused = CliRunner().invoke(
        app, ["weights", "import", str(folder / "ffhq-1024.safetensors"), "--to", str(tmp_path)]
    )
    assert refused.exit_code == 2 and "it is a stand-in" in refused.stderr


def test_the_command_line_says_what_they_are(folder: Path) -> None:
    verified = CliRunner().invoke(app, ["weights", "verify", "alexnet", "vggface2"])
    assert verified.exit_code == 1 and len(re.findall("is a stand-in, not verified", verified.stderr)) == 2
    shown = CliRunner().invoke(app, ["domains"])
    assert shown.exit_code == 0 and "STAND-INS" in shown.stdout
    planned = CliRunner().invoke(app, ["plan", "--domain", "ffhq", "--profile", "smoke", "--method", "noop"])
    assert planned.exit_code == 0, planned.output
