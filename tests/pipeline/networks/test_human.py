"""The networks of @vladmandic/human: their input on small graphs of known answer, and the published files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks import human
from tests.builders.human_files import Files, description, floats, graph
from tests.builders.tfjs_files import node, texts
from tests.checks import judge_outputs


def emotions(folder: Path) -> Files:
    return graph(folder, "emotion", 4, 1, 7, [node("s", "Softmax", "mean"), node("Identity", "Identity", "s")])


def mesh(folder: Path) -> Files:
    tail = {"km": floats(np.random.default_rng(2), 1404, 1), "bm": floats(np.random.default_rng(3), 1)}
    nodes = [
        node("Identity_2", "Identity", "mean"),
        node("f", "_FusedMatMul", "mean", "km", "bm", fused_ops=texts("BiasAdd")),
        node("Identity_1", "Sigmoid", "f"),
    ]
    return graph(folder, "facemesh", 4, 3, 1404, nodes, **tail)


@pytest.fixture
def faces() -> torch.Tensor:
    return (torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1).requires_grad_()


def constants(files: Files) -> dict[str, torch.Tensor]:
    from pipeline.networks.tfjs.weights import decoded, read_json

    return decoded(read_json(files[0])["weightsManifest"], *files)


def test_description_by_its_definition(faces: torch.Tensor, tmp_path: Path) -> None:
    files = description(tmp_path)
    parts, found = constants(files), human.read_description(*files)(faces)
    pixels = (faces + 1) / 2 * 255
    mean = pixels.mean(dim=(2, 3)) @ parts["kernel"][0, 0]
    torch.testing.assert_close(found.descriptor, mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.male, (mean @ parts["km"] + parts["bm"])[:, 0].sigmoid(), rtol=1e-4, atol=1e-5)
    ages = (mean @ parts["ka"] + parts["ba"]).softmax(dim=1)
    torch.testing.assert_close(found.ages, ages, rtol=1e-3, atol=1e-5)
    assert torch.equal(human.FaceDescriptor(human.read_description(*files))(faces), found.descriptor)
    expected = [sum(year * float(share) for year, share in enumerate(row)) for row in ages.detach()]
    assert found.age.tolist() == pytest.approx(expected, rel=1e-3)
    (found.age.sum() + found.male.sum()).backward()
    assert faces.grad is not None and faces.grad.abs().sum() > 0


def test_emotions_by_their_definition(faces: torch.Tensor, tmp_path: Path) -> None:
    files = emotions(tmp_path)
    red, green, blue = ((faces[:, channel] + 1) / 2 for channel in range(3))
    grey = (0.2989 * red + 0.587 * green + 0.114 * blue - 0.5) * 2
    expected = (grey.mean(dim=(1, 2))[:, None] * constants(files)["kernel"].flatten()).softmax(dim=1)
    torch.testing.assert_close(human.read_emotions(*files)(faces), expected, rtol=1e-5, atol=1e-6)
    assert expected.shape[1] == len(human.EMOTIONS)


def test_a_mesh_by_its_definition(faces: torch.Tensor, tmp_path: Path) -> None:
    files = mesh(tmp_path)
    parts, (points, probability) = constants(files), human.read_mesh(*files)(faces)
    mean = ((faces + 1) / 2).mean(dim=(2, 3)) @ parts["kernel"][0, 0]
    torch.testing.assert_close(points, (mean / 4).view(2, 468, 3), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(probability, (mean @ parts["km"] + parts["bm"])[:, 0].sigmoid(), rtol=1e-4, atol=1e-5)


KINDS: dict[str, tuple[Callable[[Path], Files], Callable[[Path, Path], torch.nn.Module]]] = {
    "faceres": (description, human.read_description),
    "emotion": (emotions, human.read_emotions),
    "facemesh": (mesh, human.read_mesh),
}


def as_rows(result: Any) -> torch.Tensor:
    """Outputs of a network, one row a face."""
    if isinstance(result, human.Description):
        return torch.cat([result.male[:, None], result.ages, result.descriptor], dim=1)
    return torch.cat([result[0].flatten(1) * 192, result[1][:, None]], dim=1) if isinstance(result, tuple) else result


@pytest.mark.parametrize("kind", KINDS)
def test_faces_of_any_size_are_resized(kind: str, tmp_path: Path) -> None:
    build, read = KINDS[kind]
    network = read(*build(tmp_path))
    flat = torch.rand(2, 3, 1, 1, generator=torch.Generator().manual_seed(2)).expand(2, 3, 9, 9)
    torch.testing.assert_close(as_rows(network(flat)), as_rows(network(flat[:, :, :4, :4])), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "other"), [("faceres", "facemesh"), ("emotion", "faceres"), ("facemesh", "emotion")])
def test_another_graph_is_refused(kind: str, other: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"{other}\.json (has no node|is another network)"):
        KINDS[kind][1](*KINDS[other][0](tmp_path))


def test_a_graph_of_other_outputs_is_refused(tmp_path: Path) -> None:
    six = graph(tmp_path, "emotion", 4, 1, 6, [node("Identity", "Softmax", "mean")])
    with pytest.raises(WeightsError, match="is another network"):
        human.read_emotions(*six)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_the_published_files_equal_their_own_runtime(kind: str, tmp_path: Path) -> None:
    """Where they are at hand; without them, outputs are stored for every kind, in the shapes of the wrappers."""
    stored = judge_outputs.outputs(kind)
    assert stored.shape == (2, {"faceres": 1125, "emotion": 7, "facemesh": 1405}[kind])
    pair = judge_outputs.published(f"human-{kind}")
    if pair is None:
        return
    network = KINDS[kind][1](*pair)
    if kind == "emotion":  # the stored input is grey already
        found = network.graph(judge_outputs.pictures(64, 1))[0]
    else:
        found = as_rows(network(judge_outputs.pictures(224 if kind == "faceres" else 192)))
    torch.testing.assert_close(found, stored, rtol=1e-5, atol=2e-5)
