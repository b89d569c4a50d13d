"""`latentbench scorer train`: what it says, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from pipeline.attributes import INDEX, NAMES
from pipeline.networks.files import load_network
from pipeline.networks.scorer import Scorer
from tasks.cli import app
from tests.builders.labelled_photos import write_celeba, write_ffhq, write_table

COUNT = 100
KINDS = ("ffhq", "celeba", "table")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Pictures whose brightness is their age, 32 px, in each layout."""
    rng = np.random.default_rng(1)
    values = rng.random((COUNT, 35))
    values[:, INDEX["headwear"]] = 0
    values[:, [INDEX[name] for name in ("gender", "glasses", "reading_glasses", "sunglasses")]] = 0
    light = torch.from_numpy(values[:, INDEX["age"]]).float()
    images = (light * 2 - 1)[:, None, None, None].expand(-1, 3, 32, 32).contiguous()
    folder = tmp_path_factory.mktemp("layouts")
    return {
        "ffhq": write_ffhq(folder / "ffhq", images, values),
        "celeba": write_celeba(folder / "celeba", images, values),
        "table": write_table(folder / "table", images, values, ("yaw", "age")),
    }


def train(kind: str, written: tuple[Path, Path], to: Path, *more: str) -> Result:
    arguments = ["--from", kind, "--images", str(written[0]), "--labels", str(written[1]), "--to", str(to)]
    return CliRunner().invoke(
        app, ["scorer", "train", *arguments, *(more if "--role" in more else ("--role", "a", *more))]
    )


def test_help_teaches() -> None:
    result = CliRunner().invoke(app, ["scorer", "train", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for word in ("--from", "--dry-run", "--floor-auc", "ffhq-features", "resnet18", "Examples"):
        assert word in result.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_dry_run_reports_and_writes_nothing(kind: str, written: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    result = train(kind, written[kind], tmp_path / "s.safetensors", "--dry-run", "--json", "--validation-share", "0.4")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["faces"] == COUNT == report["training"] + report["validation"]
    rows = {row["attribute"]: row for row in report["attributes"]}
    assert list(rows) == list(NAMES) and rows["yaw"]["missing"] == 0 and 0.4 < rows["yaw"]["mean"] < 0.6
    assert (rows["age"]["missing"] == COUNT) == (kind == "celeba")
    assert not list(tmp_path.iterdir())
    shown = train(kind, written[kind], tmp_path / "s.safetensors", "--dry-run", "--validation-share", "0.4").stdout
    assert f"{COUNT} labelled pictures" in shown and "would train" in shown and "mouth_occluded" in shown


def test_a_dry_run_imports_no_torch(written: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    images, labels = written["table"]
    arguments = [
        "--from",
        "table",
        "--images",
        images,
        "--labels",
        labels,
        "--role",
        "a",
        "--to",
        tmp_path / "s.safetensors",
    ]
    code = (
        f"import sys; sys.argv = {['latentbench', 'scorer', 'train', '--dry-run', *map(str, arguments)]!r}\n"
        "from tasks.cli import app\n"
        "app(standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "labelled pictures" in done.stdout


def test_a_scorer_is_trained_and_told(written: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    to = tmp_path / "a.safetensors"
    options = ("--architecture", "residual", "--resolution", "32", "--epochs", "7", "--batch", "16", "--rate", "4e-3")
    result = train("table", written["table"], to, *options, "--validation-share", "0.4", "--threads", "1")
    assert result.exit_code == 0, result.stderr
    assert "1 attributes known, 34 left out" in result.stdout and f"written: {to}" in result.stdout
    assert "no validation labels" in result.stdout and "below the floor of 0.5" in result.stdout
    card = json.loads(to.with_suffix(".json").read_text())
    assert card["attributes"] == ["age"] and card["arguments"] == {"architecture": "residual", "width": 32}
    assert card["role"] == "scorer_a" and card["settings"]["seed"] == 41
    scorer = load_network(Scorer, to, torch.device("cpu"))
    shades = torch.tensor([-0.8, 0.8])[:, None, None, None].expand(2, 3, 32, 32)
    dark, light = scorer(shades)[:, INDEX["age"]].tolist()
    assert light - dark > 0.3


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (("--role", "c"), "No role named 'c'. Known: a, b."),
        (("--architecture", "resnet"), "Did you mean 'resnet18'?"),
        (("--architecture", "plain"), "--architecture plain is of role b"),
        (("--seed", "42"), "--seed 42 is the seed of role b"),
        (("--resolution", "50"), "expected a multiple of 16"),
        (("--from", "celebs"), "Did you mean 'celeba'?"),
        (("--images", "/nowhere"), "--images /nowhere: expected a folder of pictures, found nothing there."),
        (("--labels", "/nowhere.csv"), "--labels /nowhere.csv: expected a .csv or .parquet file, found nothing there."),
        (("--to", "s.pt"), "expected a file that ends in .safetensors"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    more: tuple[str, ...], fault: str, written: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    result = train("table", written["table"], tmp_path / "s.safetensors", *more)
    assert result.exit_code == 2
    assert fault in result.stderr and "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_too_many_broken_labels_are_refused_and_every_name_is_told(tmp_path: Path) -> None:
    images, labels = write_ffhq(tmp_path / "data", torch.zeros(60, 3, 32, 32), np.full((60, 35), 0.5))
    for row in range(5):
        (labels / f"{row:05d}.json").write_text("[{")
    result = train("ffhq", (images, labels), tmp_path / "s.safetensors")
    assert result.exit_code == 2
    assert "5 of 60 labelled pictures are broken (8.3%), more than the 1.0% of --most-bad" in result.stderr
    report = json.loads((tmp_path / "s.training" / "labels.json").read_text())
    assert [line[:10] for line in report["left_out"]["broken label"]] == [f"{row:05d}.json" for row in range(5)]
