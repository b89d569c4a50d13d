"""The command around an ablation: what it computes, what it says, what happens when a variant fails. No torch."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from pipeline.chain.links import Chain, Link
from pipeline.domains import base as domains
from pipeline.errors import TrainingDivergedError
from pipeline.methods.l2l.training import LOSSES
from pipeline.settings.settings import Settings
from tasks.cli import app
from tests.builders import random_stages

ROOT = Path(__file__).parents[2]
ABLATE = (
    "methods",
    "ablate",
    "l2l",
    "--profile",
    "smoke",
    "--attribute",
    "age",
    "--set",
    "protocol.bootstrap_samples=50",
)
WIDTH = 256  # of the variant that fails where one is asked to


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LUIGI_CONFIG_PATH", raising=False)


def latentbench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages whose numbers are drawn at random: the titles of those that were computed, "" where one refused to be."""
    monkeypatch.setitem(domains.MODULES, "synthface", random_stages.__name__)
    monkeypatch.setattr(random_stages, "ROLES", (*random_stages.ROLES, "mtcnn", "reader"))
    done: list[str] = []

    def compute(link: Link, settings: Settings) -> None:
        parameters = settings.method_parameters("l2l")
        if link.stage.name == "train" and parameters["width"] == WIDTH and "" not in done:
            done.append("")
            raise TrainingDivergedError("The loss became NaN at step 3.")
        done.append(link.title)
        facts = {"end": {"total": 1.0}, "held_out_losses": {name: [0.25] * 20 for name in LOSSES}}
        extra = {"facts": facts, "seconds": 3.5} if link.stage.name == "train" else {}
        random_stages.lay_down_link(link, settings, seed=int(parameters["width"]), extra=extra)

    made_by_chain = Chain.link

    def made(self: Chain, kind: str, *names: str) -> Link:
        link = made_by_chain(self, kind, *names)
        return replace(link, run=partial(compute, link, self.settings))

    def calibrate_all(self: Chain, method: str, attributes: list[str]) -> None:
        for attribute in attributes:
            self.link("range", method, attribute).run()

    monkeypatch.setattr(Chain, "link", made)
    monkeypatch.setattr(Chain, "calibrate_all", calibrate_all)
    return done


def test_shared_stages_are_computed_once_and_the_others_for_each_variant(computed: list[str], tmp_path: Path) -> None:
    result = latentbench(*ABLATE, "--variant", "no-cycle", "--variant", "plain", "--outputs", tmp_path)
    assert result.exit_code == 0, result.output
    for title in ("latents train", "labels train", "labels faces", "reference"):
        assert computed.count(title) == 1, title
    for stage in ("train", "edits", "timing", "gallery", "scores"):
        assert computed.count(f"{stage} l2l") == 3, stage
    assert not (tmp_path / "reports").exists(), "variants are no runs of the archive"
    (folder,) = tmp_path.glob("ablations/l2l-*")
    assert f"Page: {folder / 'ablation.html'}" in result.stdout
    printed = " ".join(result.stdout.split())
    assert all(name in printed for name in ("base", "no-cycle", "plain", "cycle", "smaller than the published"))
    assert "variant plain (3 of 3): residual = false" in result.stderr

    before = len(computed)
    again = latentbench(*ABLATE, "--variant", "plain", "--variant", "no-cycle", "--outputs", tmp_path, "--json")
    assert again.exit_code == 0 and len(computed) == before
    rows = json.loads(again.stdout)
    assert rows == json.loads(pd.read_parquet(folder / "ablation.parquet").to_json(orient="records"))


def test_a_variant_that_fails_stops_no_other_and_nothing_is_published(computed: list[str], tmp_path: Path) -> None:
    chosen = ("--variant", "no-cycle", "--variant", "width-256", "--variant", "plain")
    result = latentbench(*ABLATE, *chosen, "--outputs", tmp_path)
    assert result.exit_code == 30  # [retcode] task_failed
    assert "The loss became NaN at step 3." in result.stderr
    assert "Not complete: width-256 could not be computed, so nothing was published." in result.stderr
    assert not (tmp_path / "ablations").exists()
    assert computed.count("scores l2l") == 3, "base and the two others"
    assert latentbench(*ABLATE, *chosen, "--outputs", tmp_path).exit_code == 0
    assert computed.count("scores l2l") == 4 and computed.count("labels train") == 1


# Names


def test_help_teaches_by_example() -> None:
    shown = latentbench("methods", "ablate", "--help").stdout
    assert "latentbench methods ablate l2l --profile smoke --variant no-cycle" in shown and "--dry-run" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("l2ll",), "Did you mean 'l2l'?"),
        (("sefa",), "No method with an ablation named 'sefa'"),
        (("l2l", "--variant", "no-cicle"), "Did you mean 'no-cycle'?"),
        (("l2l", "--variant", "residual"), "is the base itself"),
        (("l2l", "--set", "method.l2l.codes=Z"), "codes: expected W or W+"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_computed(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    result = latentbench("methods", "ablate", *arguments, "--profile", "smoke", "--outputs", tmp_path)
    assert result.exit_code == 2 and told in result.stderr
    assert not list(tmp_path.iterdir())
