"""The choice of k and the scores of masks have known answers on known clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pipeline.errors import ConfigError
from pipeline.methods.contrastive import llf_clusters
from pipeline.methods.contrastive.llf_clusters import (
    ClusterReport,
    canopies,
    choose_k,
    draw_choice,
    elbow,
    overlap,
    overlap_with_parts,
)
from pipeline.methods.contrastive.llf_masks import mask_sheet
from tasks.cli import app

ROOT = Path(__file__).parents[4]


def blobs(kinds: int = 4, count: int = 6, size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps (N, kinds, size, size) of well separated feature vectors, and the kind of every pixel."""
    rng = torch.Generator().manual_seed(3)
    parts = torch.randint(kinds, (count, size, size), generator=rng)
    maps = 10 * torch.nn.functional.one_hot(parts, kinds).permute(0, 3, 1, 2).float()
    return maps + 0.3 * torch.randn(maps.shape, generator=rng), parts


def test_every_rule_finds_well_separated_clusters() -> None:
    maps, parts = blobs()
    choices, k_by = choose_k(maps, range(2, 9), 1, parts)
    assert k_by == {"elbow": 4, "silhouette": 4, "canopy": 4}
    right = next(choice for choice in choices if choice.k == 4)
    assert right.purity == 1 and right.iou == 1 and right.explained > 0.98 and right.silhouette > 0.9
    assert all(a.inertia >= b.inertia for a, b in zip(choices, choices[1:], strict=False))
    assert choices[0].purity is not None and choices[0].purity < 0.8
    alone, _ = choose_k(maps, range(2, 4), 1)
    assert alone[0].purity is None and alone[0].iou is None


def test_overlap_is_what_a_hand_counts() -> None:
    found = overlap(np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 1, 2]), 2, 4)
    assert found.counts.tolist() == [[3, 1, 0, 0], [0, 3, 1, 0]]
    assert found.purity == pytest.approx(6 / 8) and found.one_cluster == pytest.approx(4 / 8)
    assert found.iou[0].tolist() == pytest.approx([3 / 4, 1 / 7, 0, 0])
    assert found.iou[1].tolist() == pytest.approx([0, 3 / 5, 1 / 4, 0])
    assert found.best.tolist() == [0, 1]
    assert found.mean_iou == pytest.approx((3 / 4 + 3 / 5 + 1 / 4) / 3), "over the three parts that occur"


@pytest.mark.parametrize("kinds", [2, 5])
def test_perfect_and_useless_masks(kinds: int) -> None:
    rng = np.random.default_rng(2)
    parts = rng.integers(kinds, size=20_000)
    renamed = overlap((parts + 1) % kinds, parts, kinds, kinds)
    assert renamed.purity == renamed.mean_iou == 1, "numbers of clusters mean nothing"
    chance = overlap(rng.integers(kinds, size=20_000), parts, kinds, kinds)
    assert chance.purity == pytest.approx(1 / kinds, abs=0.03) and chance.mean_iou < 1.2 / (2 * kinds - 1)
    one = overlap(np.zeros(20_000, int), parts, kinds, kinds)
    assert one.purity == one.one_cluster


def test_masks_are_compared_at_the_resolution_of_the_truth() -> None:
    labels = torch.tensor([[[0, 1], [1, 0]]])
    parts = labels.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    assert overlap_with_parts(labels, parts, 2).mean_iou == 1
    parts[0, 0, 0] = 1
    assert overlap_with_parts(labels, parts, 2).purity == pytest.approx(63 / 64)


def test_the_elbow_is_the_corner() -> None:
    assert elbow([2, 3, 4, 5, 6], [100, 60, 20, 15, 10]) == 4
    assert elbow([2, 4, 8], [9.0, 3.0, 2.5]) == 4


def test_canopies_are_counted_and_noise_is_not() -> None:
    rng = np.random.default_rng(1)
    points = np.concatenate([10 * corner + 0.1 * rng.standard_normal((200, 3)) for corner in np.eye(3)])
    assert canopies(points, rng) == 3
    assert canopies(np.concatenate([points, [[50.0, 50, 50]]]), rng) == 3


def test_plot_and_masks_are_pictures(tmp_path: Path) -> None:
    maps, parts = blobs(size=8)
    choices, k_by = choose_k(maps, range(2, 5), 1)
    draw_choice(ClusterReport("b16", 6, choices, k_by, 4), tmp_path / "choice.png")
    with Image.open(tmp_path / "choice.png") as picture:
        assert picture.format == "PNG" and len(np.unique(np.asarray(picture).reshape(-1, 4), axis=0)) > 10
    sheet = mask_sheet(torch.zeros(3, 3, 16, 16), parts[:3], ["a", "b"], size=32)
    assert sheet.width >= 3 * 32 and sheet.height >= 2 * 32


def test_the_verb_is_there_and_tells_what_it_expected() -> None:
    assert "masks" in CliRunner().invoke(app, ["methods", "llf-clusters", "--help"]).stdout
    refused = CliRunner().invoke(app, ["methods", "llf-clusters", "--ks", "9-2"])
    assert refused.exit_code == 2


def test_the_verb_takes_tap_and_clusters_from_the_settings_of_a_masked_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.cfg"
    section = "[method.llf]\nlayer_mask = styleflow\n"
    path.write_text((ROOT / "luigi.cfg").read_text().replace("[method.llf]\n", section))
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(path))
    asked: dict[str, object] = {}

    def stop(*_: object, **options: object) -> None:
        asked.update(options)
        raise ConfigError("asked")

    monkeypatch.setattr(llf_clusters, "report_clusters", stop)
    assert CliRunner().invoke(app, ["methods", "llf-clusters", "--ks", "2-3"]).exit_code == 2
    assert (asked["tap"], asked["shown"]) == ("b16", 5)
