"""`latentbench methods ablate`: through the whole chain on the smallest domain, with real trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm, t
from typer.testing import CliRunner, Result

from pipeline.domains import base as domains
from pipeline.methods.l2l.training import LOSSES
from pipeline.metrics.base import ALL, PAPER, get, names
from pipeline.report.ablation.table import HELD_OUT
from pipeline.statistics.bootstrap import Bootstrap
from tasks.cli import app
from tests.worlds import px16

ROOT = Path(__file__).parents[2]
FACES, STEPS = 12, 3
TINY = f"""
[domain.scenes]
truncation_psi = 1.0
[profile.tiny]
n_latents = 256
n_faces = {FACES}
n_steps = {STEPS}
n_reference = 64
n_spread = 32
n_matched_faces = 2
n_rate_faces = 2
n_consistency_faces = 2
n_timings = 5
n_naming_codes = 16
l2l.steps = 12
l2l.width = 32
l2l.layers = 2
l2l.batch = 4
l2l.learning_rate = 0.001
"""
CHEAPER = {"bootstrap_samples = 1000": "bootstrap_samples = 50", "kid_subsets = 100": "kid_subsets = 2"}
CHEAPER |= {"kid_subset_size = 1000": "kid_subset_size = 30", "bisections = 5": "bisections = 2"}
CHOICE = ("--domain", "scenes", "--profile", "tiny", "--attribute", "age", "--attribute", "yaw", "--executor", "inline")
ABLATE = ("methods", "ablate", "l2l", *CHOICE)
VARIANTS = ["base", "no-cycle", "w-plus"]
MEANS = [name for name in names(PAPER) if get(name).samples is not None]
KEY = ["protocol", "attribute", "metric", "network"]


def latentbench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@dataclass(frozen=True)
class Done:
    """A finished ablation of two variants: where it wrote, what it said."""

    outputs: Path
    said: Result

    @property
    def folder(self) -> Path:
        (folder,) = self.outputs.glob("ablations/l2l-????????????????")
        return folder

    def table(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "ablation.parquet")

    def edits(self, variant: str) -> pd.DataFrame:
        """The measured edits of a variant, found by the settings in its training's manifest."""
        changes = {"base": {}, "no-cycle": {"weight_cycle": 0.0}, "w-plus": {"codes": "W+"}}[variant]
        settings = {"weight_cycle": 0.5, "codes": "W"} | changes
        for path in self.outputs.glob("stages/edits/l2l-*/manifest.json"):
            trained = json.loads(path.read_text())["upstream"]["train l2l"]
            card = json.loads((self.outputs / f"stages/train/l2l-{trained[:16]}/method.json").read_text())
            if settings.items() <= card["parameters"].items():
                files = sorted(path.parent.glob("edits-*.parquet"))
                return pd.concat([pq.ParquetFile(file).read().to_pandas() for file in files])
        raise AssertionError(variant)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The settings file with a tiny profile, and the domain."""
    text = (ROOT / "luigi.cfg").read_text()
    for full, cheap in CHEAPER.items():
        assert full in text
        text = text.replace(full, cheap)
    path = tmp_path_factory.mktemp("settings") / "tiny.cfg"
    path.write_text(text + TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(domains.MODULES, px16.NAME, px16.__name__)
        patch.setenv("LUIGI_CONFIG_PATH", str(path))
        yield


@pytest.fixture(scope="module")
def done(tiny: None, tmp_path_factory: pytest.TempPathFactory) -> Done:
    outputs = tmp_path_factory.mktemp("outputs")
    said = latentbench(*ABLATE, "--variant", "no-cycle", "--variant", "w-plus", "--outputs", outputs)
    assert said.exit_code == 0, said.output
    return Done(outputs, said)


def test_the_table_has_every_variant_and_what_was_changed(done: Done) -> None:
    table = done.table()
    assert list(table["variant"].unique()) == VARIANTS
    changed = table.drop_duplicates("variant").set_index("variant")["changed"].to_dict()
    assert changed == {"base": "", "no-cycle": "weight_cycle = 0.0 (not 0.5)", "w-plus": "codes = W+ (not W)"}
    assert set(table["profile"]) == {"tiny"} and set(table["better"]) == {"lower", "higher", "neither"}
    assert set(table["attribute"]) == {ALL, "age", "yaw"}
    assert table["fingerprint"].nunique() == 3 and (table["training_seconds"] > 0).all()
    assert np.isfinite(table["training_loss"]).all() and table.groupby("variant")["training_loss"].nunique().max() == 1
    counts = table.groupby(KEY)["variant"].nunique()
    assert (counts == 3).all(), "every score is there for every variant"


def test_differences_are_those_of_the_scores(done: Done) -> None:
    """Every face is found here, so the means of both are over all faces."""
    table = done.table()
    base = table[table["variant"] == "base"]
    assert base[["difference", "difference_low", "difference_high"]].isna().all(axis=None)
    others = table[table["variant"] != "base"].merge(base[[*KEY, "value"]], on=KEY, suffixes=("", "_base"))
    assert (others["metric"].eq("detected_share") & others["value"].lt(1)).sum() == 0
    assert others["difference"].to_numpy() == pytest.approx(
        (others["value"] - others["value_base"]).to_numpy(), abs=1e-6
    )
    paired = others["metric"].isin(MEANS) | (others["protocol"] == HELD_OUT)
    assert others.loc[paired, ["difference_low", "difference_high"]].notna().all(axis=None)
    assert others.loc[~paired, ["difference_low", "difference_high"]].isna().all(axis=None)
    assert (others.loc[paired, "difference_low"] <= others.loc[paired, "difference_high"]).all()


@pytest.mark.parametrize("attribute", ["yaw", ALL])
def test_intervals_of_differences_are_paired_face_by_face(done: Done, attribute: str) -> None:
    """Against the loop: every resample draws faces, and takes the same ones of both variants."""
    table = done.table()
    row = table[(table["variant"] == "w-plus") & (table["metric"] == "lpips") & (table["attribute"] == attribute)].iloc[
        0
    ]
    means = []
    for variant in ("w-plus", "base"):
        edits = done.edits(variant)
        own = edits if attribute == ALL else edits[edits["attribute"] == attribute]
        means.append(own.groupby("face_id")["lpips"].mean())
    gaps = (means[0] - means[1]).sort_index()  # as many images of every face
    assert len(gaps) == FACES
    drawn = Bootstrap(50, 0.95, 2022).counts(FACES)
    resampled = [float(np.average(gaps, weights=counts)) for counts in drawn]
    wider = t.ppf(0.975, FACES - 1) / norm.ppf(0.975) * np.sqrt(FACES / (FACES - 1))  # as for so few faces
    low, high = gaps.mean() + wider * (np.quantile(resampled, [0.025, 0.975]) - gaps.mean())
    assert (row["difference"], row["difference_low"], row["difference_high"]) == pytest.approx(
        (gaps.mean(), low, high), abs=1e-6
    )


def test_held_out_losses_are_those_of_the_trainings(done: Done) -> None:
    own = done.table().query("protocol == @HELD_OUT")
    trainings = list(done.outputs.glob("stages/train/l2l-*/method.json"))
    assert len(trainings) == len(VARIANTS)
    for path in trainings:
        card = json.loads(path.read_text())
        weights = {name: card["parameters"][f"weight_{name}"] for name in LOSSES}
        variant = "no-cycle" if weights["cycle"] == 0 else "w-plus" if card["parameters"]["codes"] == "W+" else "base"
        rows = own[own["variant"] == variant].set_index("metric")
        assert rows.loc["cycle_error", "value"] == pytest.approx(card["facts"]["cycle_error"], rel=1e-5)
        assert rows.loc["noop_error", "value"] == pytest.approx(card["facts"]["noop_error"], rel=1e-5)
        assert (rows["n_faces"] == card["facts"]["held_out"]).all() and len(rows) == len(LOSSES)


def test_nothing_is_computed_twice(done: Done) -> None:
    for stage, count in (
        ("latents", 5),
        ("labels", 4),
        ("reference", 2),
        ("spread", 1),
        ("train", 3),
        ("edits", 3),
        ("scores", 3),
    ):
        assert len(list(done.outputs.glob(f"stages/{stage}/*/manifest.json"))) == count, stage
    assert not (done.outputs / "reports").exists(), "variants are no runs of the archive"

    def written() -> dict[str, int]:
        found = (*done.outputs.glob("stages/*/*/*.parquet"), *done.outputs.glob("ablations/*/*"))
        return {str(path): path.stat().st_mtime_ns for path in found}

    before = written()
    again = latentbench(*ABLATE, "--variant", "w-plus", "--variant", "no-cycle", "--outputs", done.outputs)
    assert again.exit_code == 0 and written() == before
    assert again.stderr.count("Nothing to compute") == 3


def test_the_base_is_an_ordinary_run(done: Done) -> None:
    plan = json.loads(latentbench("plan", *CHOICE[:8], "-m", "l2l", "--outputs", done.outputs, "--json").stdout)
    assert {row["state"] for row in plan["stages"]} == {"there"}
    rows = json.loads(latentbench(*ABLATE, "--outputs", done.outputs, "--dry-run", "--json").stdout)
    left = {row["variant"]: row["stages to compute"] for row in rows}
    assert {name for name, count in left.items() if not count} == set(VARIANTS)
    assert {"no-face", "plain", "width-512"} <= set(left) and left["no-face"] == 12  # no latents, labels or reference


def test_the_page_says_what_it_is(done: Done) -> None:
    page = (done.folder / "ablation.html").read_text()
    for text in ("profile tiny", "are smaller than the published protocol", "lower is better", *VARIANTS):
        assert text in page
    assert "higher is better" in page and "neither is better" in page and "cycle error" in page
    assert str(done.outputs) not in page and "http" not in page.split("</head>")[1]
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["variants"]["no-cycle"] == {"weight_cycle": 0.0} and manifest["commit"]


def test_the_terminal_shows_table_and_page(done: Done) -> None:
    shown = done.said.stdout
    assert all(variant in shown for variant in VARIANTS) and "cycle" in shown and "smaller" in shown
    assert f"Page: {done.folder / 'ablation.html'}" in shown


def test_a_damaged_table_is_set_aside_and_written_again(done: Done) -> None:
    whole = (done.folder / "ablation.parquet").read_bytes()
    (done.folder / "ablation.parquet").write_bytes(whole[:100])
    again = latentbench(*ABLATE, "--variant", "no-cycle", "--variant", "w-plus", "--outputs", done.outputs)
    assert again.exit_code == 0 and "not as it was published" in again.stderr
    assert (done.folder / "ablation.parquet").read_bytes() == whole
