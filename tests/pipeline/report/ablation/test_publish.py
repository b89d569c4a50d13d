"""The table and the page of an ablation whose stages hold numbers at random."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.errors import StageError
from pipeline.methods.l2l.method import L2L
from pipeline.methods.l2l.training import LOSSES
from pipeline.methods.variants import choose
from pipeline.metrics.base import ALL, PAPER, get, names
from pipeline.report.ablation.page import text_table, verdict
from pipeline.report.ablation.publish import PAGE, TABLE, read_ablation, run_ablation
from pipeline.report.ablation.table import HELD_OUT, VariantRun, ablation_table
from pipeline.storage.runs import invalidate
from pipeline.storage.stages import building, read_manifest
from tests.builders import random_edits, random_run, random_scores, random_stages

CODES = 40
MEANS = [name for name in names(PAPER) if get(name).samples is not None]
KEY = ["attribute", "metric", "network"]


def held_out(place: int) -> dict[str, list[float]]:
    """Losses of every held-out code, those of later variants higher."""
    rng = np.random.default_rng(3)
    return {name: (rng.uniform(0, 1, CODES) + 0.1 * place).tolist() for name in LOSSES}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[VariantRun, ...]:
    """The base and two variants, every stage of them published."""
    monkeypatch.setitem(base.MODULES, "synthface", random_stages.__name__)
    monkeypatch.setattr(random_stages, "ROLES", (*random_stages.ROLES, "mtcnn", "reader"))
    settings = random_run.settings(tmp_path / "outputs", methods=("l2l",))
    made = []
    for place, variant in enumerate(choose("l2l", L2L().parameters(), ["no-cycle", "w-plus"])):
        run = replace(settings, methods=(("l2l", tuple(variant.changes.items())),))
        facts = {"end": {"total": 1.0 + place}, "held_out_losses": held_out(place)}
        train = Chain(run).link("train", "l2l").stage
        with building(train, run) as builder:
            builder.publish([], {"facts": facts, "seconds": 10.0 + place})
        random_stages.lay_down(run, seed=place)
        made.append(VariantRun(variant, run))
    return tuple(made)


def rows_of(table: pd.DataFrame, variant: str) -> pd.DataFrame:
    return table[table["variant"] == variant].set_index(["protocol", *KEY])


def test_scores_are_the_stages_own(runs: tuple[VariantRun, ...]) -> None:
    table = ablation_table("l2l", runs).to_pandas()
    assert runs
    for place, run in enumerate(runs):
        own = rows_of(table, run.variant.name)
        expected = [row for row in random_scores.score_rows("l2l", place) if row["protocol"] != HELD_OUT]
        scored = own[own.index.get_level_values("protocol") != HELD_OUT]
        assert len(scored) == len(expected)
        for row in expected:
            found = scored.loc[(row["protocol"], *(row[name] for name in KEY))]
            assert (found["value"], found["better"], found["n_faces"]) == (row["value"], row["better"], row["n_faces"])
        assert set(own["training_seconds"]) == {10.0 + place} and set(own["training_loss"]) == {1.0 + place}
        assert set(own["fingerprint"]) == {Chain(run.settings).link("scores", "l2l").stage.fingerprint}


def test_paired_differences_against_the_loop(runs: tuple[VariantRun, ...]) -> None:
    """Identity distance by recognizer B, over the detected images of the faces that both variants have."""
    table = ablation_table("l2l", runs).to_pandas()
    frames = [random_edits.edits(("l2l",), seed=place).to_pandas() for place in range(2)]
    for attribute in ("age", ALL):
        found = [
            frame[frame["detected"] & ((frame["attribute"] == attribute) | (attribute == ALL))] for frame in frames
        ]
        sums = [part.groupby("face_id")["identity_recognizer_b"].agg(["sum", "size"]) for part in found]
        common = sums[0].index.intersection(sums[1].index)
        totals = [part.loc[common].to_numpy() for part in sums]
        expected = totals[1][:, 0].sum() / totals[1][:, 1].sum() - totals[0][:, 0].sum() / totals[0][:, 1].sum()
        row = rows_of(table, "no-cycle").loc[("l2l-2022", attribute, "identity_distance", "recognizer_b")]
        assert row["difference"] == pytest.approx(expected, rel=1e-5)
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_what_is_no_mean_has_a_difference_and_no_interval(runs: tuple[VariantRun, ...]) -> None:
    table = ablation_table("l2l", runs).to_pandas()
    scored = table[table["protocol"] != HELD_OUT]
    first, other = rows_of(scored, "base"), rows_of(scored, "w-plus")
    assert first[["difference", "difference_low", "difference_high"]].isna().all(axis=None)
    sets = other[~other.index.get_level_values("metric").isin(MEANS)]
    assert len(sets) and sets[["difference_low", "difference_high"]].isna().all(axis=None)
    assert sets["difference"].to_numpy() == pytest.approx(
        (sets["value"] - first["value"].reindex(sets.index)).to_numpy()
    )


def test_held_out_losses_are_paired_code_by_code(runs: tuple[VariantRun, ...]) -> None:
    """The variants' losses differ by the same on every code, so the interval of the difference has no width."""
    table = ablation_table("l2l", runs).to_pandas()
    own = table[table["protocol"] == HELD_OUT]
    assert list(own["variant"].value_counts()) == [len(LOSSES)] * 3
    cycle = own[own["metric"] == "cycle_error"].set_index("variant")
    for place, variant in enumerate(("base", "no-cycle", "w-plus")):
        assert cycle.loc[variant, "value"] == pytest.approx(np.mean(held_out(place)["cycle"]))
    ends = cycle.loc["w-plus", ["difference_low", "difference", "difference_high"]].astype(float)
    assert ends.to_numpy() == pytest.approx([0.2] * 3)
    assert (cycle["n_faces"] == CODES).all() and set(cycle["better"]) == {"lower"}


def test_publication_is_whole_once_and_never_changed(runs: tuple[VariantRun, ...]) -> None:
    folder = run_ablation("l2l", runs)
    assert sorted(path.name for path in folder.iterdir()) == ["ablation.html", "ablation.parquet", "manifest.json"]
    files = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    assert run_ablation("l2l", runs) == folder
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == files
    assert not list((folder.parents[1] / ".publishing").iterdir())
    other = run_ablation("l2l", runs[:2])
    assert other != folder and set(read_ablation(other)["variant"]) == {"base", "no-cycle"}


def test_new_numbers_make_a_new_folder(runs: tuple[VariantRun, ...]) -> None:
    folder, settings = run_ablation("l2l", runs), runs[1].settings
    link = Chain(settings).link("scores", "l2l")
    invalidate([link.stage], settings.outputs)
    with pytest.raises(StageError):
        run_ablation("l2l", runs)
    random_stages.lay_down(settings, seed=9)
    assert read_manifest(link.stage, settings.outputs).rows
    again = run_ablation("l2l", runs)
    assert again != folder and folder.is_dir()


def test_a_damaged_file_is_set_aside(runs: tuple[VariantRun, ...], caplog: pytest.LogCaptureFixture) -> None:
    folder = run_ablation("l2l", runs)
    whole = (folder / TABLE).read_bytes()
    (folder / TABLE).write_bytes(whole[:-1])
    assert run_ablation("l2l", runs) == folder
    assert (folder / TABLE).read_bytes() == whole and "not as it was published" in caplog.text
    assert len(list(folder.parent.glob("*.corrupt-*"))) == 1


def test_the_page_says_everything(runs: tuple[VariantRun, ...]) -> None:
    folder = run_ablation("l2l", runs)
    page = (folder / PAGE).read_text()
    for text in (
        "profile smoke",
        "2,048 labelled latents instead of 400,000",
        "lower is better",
        "higher is better",
        "weight_cycle = 0.0 (not 0.5)",
        "codes = W+ (not W)",
        "what is left when an edit is taken back",
        "None of them is comparable with a published FFHQ number",
    ):
        assert text in page, text
    assert str(runs[0].settings.outputs) not in page
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["profile"] == "smoke" and manifest["files"][TABLE]["rows"] == len(read_ablation(folder))


def test_the_terminals_table_has_every_variant(runs: tuple[VariantRun, ...]) -> None:
    from rich.console import Console

    shown = io.StringIO()
    Console(width=200, file=shown).print(text_table(read_ablation(run_ablation("l2l", runs)), "recognizer_b"))
    assert all(text in shown.getvalue() for text in ("base", "no-cycle", "w-plus", "+0.200", "cycle", "profile smoke"))


@pytest.mark.parametrize(
    ("better", "low", "high", "expected"),
    [
        ("lower", -2.0, -1.0, "better"),
        ("lower", 1.0, 2.0, "worse"),
        ("higher", 1.0, 2.0, "better"),
        ("higher", -2.0, -1.0, "worse"),
        ("neither", 1.0, 2.0, "changed"),
        ("lower", -1.0, 2.0, ""),
        ("lower", None, None, ""),
    ],
)
def test_verdicts(better: str, low: Any, high: Any, expected: str) -> None:
    assert verdict({"better": better, "difference_low": low, "difference_high": high}) == expected
