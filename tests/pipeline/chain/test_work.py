"""A worker is handed all that it needs: what it reads is upstream of its stage, and no file of its own counts."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.chain.inputs import read_w
from pipeline.chain.latents import cut
from pipeline.chain.links import KIND, Chain
from pipeline.domains import base
from pipeline.errors import UnknownNameError
from pipeline.methods import registry
from pipeline.settings.downloads import Sources
from pipeline.settings.settings import load_settings
from tests.builders.chains import compute, reading
from tests.worlds import named_files, px8, px16

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def domains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    monkeypatch.setitem(base.MODULES, named_files.NAME, "tests.worlds.named_files")


def test_a_stage_is_made_once_with_all_that_it_reads(tmp_path: Path) -> None:
    chain = Chain(px16.scene_settings(tmp_path))
    edits = chain.work("edits", "random")
    assert chain.work("edits", "random").stage is edits.stage is chain.stage("edits", "random")
    assert edits.read("labels", "faces") is chain.stage("labels", "faces")
    assert edits.read("latents", "faces") is chain.stage("latents", "faces"), "what is read by what it reads"
    assert edits.read("range", "random-age") is chain.stage("range", "random", "age")
    assert chain.work("scores", "noop").read("reference") is chain.stage("reference", "reference")


def test_what_a_recipe_does_not_name_cannot_be_read(tmp_path: Path) -> None:
    work = Chain(px16.scene_settings(tmp_path)).work("edits", "random")
    for kind, label in (("spread", ""), ("train", "noop"), ("edits", "random")):
        with pytest.raises(UnknownNameError) as caught:
            work.read(kind, label)
        assert caught.value.name == f"{kind} {label}".strip() and "labels faces" in caught.value.known


def test_scores_are_as_much_work_of_few_faces_as_of_many(tmp_path: Path) -> None:
    """Plans of large runs rest on the seconds per unit of small ones: scores are counted, not their images."""
    small = px16.scene_settings(tmp_path)
    sizes = {name: 10 * getattr(small.experiment, name) for name in ("n_faces", "n_matched_faces", "n_rate_faces")}
    large = replace(small, experiment=replace(small.experiment, **sizes))
    for kind in ("scores", "rescoring", "rating"):
        amounts = [KIND[kind].amount(settings, "noop") for settings in (small, large)]
        assert amounts[0] == amounts[1] and amounts[0][1] == "scores" and amounts[0][0] > 10
    assert KIND["edits"].amount(large, "noop")[0] == 10 * KIND["edits"].amount(small, "noop")[0]


def test_work_travels_and_is_small(tmp_path: Path) -> None:
    settings = load_settings(
        domain="synthface",
        profile="full",
        methods=registry.names(),
        known_methods=registry.names(),
        known_domains=base.names(),
        overrides={"latentbench.outputs": str(tmp_path)},
    )
    chain = Chain(settings)
    assert KIND
    for kind in KIND.values():
        names = kind.all_names(settings, "l2l")[0]
        work = chain.work(kind.name, *names)
        content = pickle.dumps(work)
        assert len(content) < 32 * 1024, kind.name
        there = pickle.loads(content)
        assert there == work and there.folder == work.folder and pickle.dumps(kind.compute)


def test_outputs_are_absolute_wherever_a_worker_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    work = Chain(px16.scene_settings(Path("outputs"))).work("labels", "train")
    assert work.folder == Path("outputs").absolute() / work.stage.folder(Path())


def test_a_worker_with_another_luigi_cfg_computes_the_same(tmp_path: Path) -> None:
    """Which file the domain uses comes with the work: `mine`, whatever is said where the worker is."""
    sources = Sources(files=(("generator", "mine"),))
    here = replace(px8.tiny_settings(tmp_path / "here"), domain=named_files.NAME, methods=(), sources=sources)
    there = replace(here, outputs=tmp_path / "there")
    compute(here, "latents", "train")
    work = Chain(there).work("latents", "train")
    task = pickle.dumps((KIND["latents"].compute, [(work, shard) for shard in cut(there, "train")]))
    folder = tmp_path / "worker"
    folder.mkdir()
    (folder / "luigi.cfg").write_text(f"[domain.{named_files.NAME}]\ngenerator = another\n")
    work.folder.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.worlds.named_files"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run(command, cwd=folder, check=True, input=task, capture_output=True, env=environment)
    compute(there, "latents", "train")  # publishes what is there
    mine, other = (read_w(reading(settings, "latents", "train"), "train")[1] for settings in (here, there))
    np.testing.assert_array_equal(mine, other)
    another = replace(here, sources=Sources(files=(("generator", "another"),)), outputs=tmp_path / "another")
    assert Chain(another).stage("latents", "train") != Chain(here).stage("latents", "train")
    compute(another, "latents", "train")
    assert not np.array_equal(read_w(reading(another, "latents", "train"), "train")[1], mine), "the test needs both"
