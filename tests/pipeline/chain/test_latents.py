"""A latent depends on its seed and id alone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.chain.inputs import read_w
from pipeline.chain.links import KIND
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.errors import CorruptShardError, StageError, UnknownNameError
from pipeline.execution import shards
from pipeline.settings.settings import Settings
from stylegan.sampling import draw_z
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px8
from tests.worlds.px8 import tiny_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def tiny_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    px8.lend(monkeypatch)


def w_of(settings: Settings, which: str = "train") -> np.ndarray:
    compute(settings, "latents", which)
    return read_w(reading(settings, "latents", which), which)[1]


def with_protocol(settings: Settings, **changes: object) -> Settings:
    return replace(settings, experiment=replace(settings.experiment, **changes))  # type: ignore[arg-type]


def with_weights(**sha256: str) -> DomainCard:
    card = px8.describe()
    return replace(card, weights={**card.weights, **sha256})


def test_z_depends_on_seed_and_id_alone() -> None:
    ids = np.arange(1000)
    z = draw_z(7, ids)
    assert z.shape == (1000, 512) and z.dtype == np.float32
    some = np.array([999, 3, 257, 256, 3])
    np.testing.assert_array_equal(draw_z(7, some), z[some])
    far = np.array([1_000_000_000, 2**62 + 5])
    np.testing.assert_array_equal(draw_z(7, far)[1], draw_z(7, far[1:])[0])
    assert not np.array_equal(draw_z(8, ids), z)
    assert abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01
    assert len(np.unique(z[:, 0])) == 1000


def test_shard_size_and_threads_change_no_bit(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        reference = w_of(tiny_settings(tmp_path / "a", shard_size=256, threads=1))
        for name, size, count in (("b", 512, 2), ("c", 2048, 1)):
            torch.set_num_threads(count)
            np.testing.assert_array_equal(
                w_of(tiny_settings(tmp_path / name, shard_size=size, threads=count)), reference
            )
    finally:
        torch.set_num_threads(threads)


def test_the_number_of_latents_changes_no_latent(tmp_path: Path) -> None:
    many = w_of(tiny_settings(tmp_path))
    few = w_of(with_protocol(tiny_settings(tmp_path), n_latents=300))
    np.testing.assert_array_equal(few, many[:300])


def test_w_is_the_generators_truncated(tmp_path: Path) -> None:
    settings = with_protocol(tiny_settings(tmp_path), truncation_psi=0.5)
    w = w_of(settings, "faces")
    generator = base.load(px8.NAME, "cpu").generator
    z = torch.from_numpy(draw_z(settings.experiment.seed, np.arange(1_000_000_000, 1_000_000_004)))
    expected = generator.mapping(z, truncation_psi=0.5)[:, 0]
    np.testing.assert_allclose(w, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_faces_and_training_latents_never_meet(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    compute(settings, "latents", "faces")
    ids, w = read_w(reading(settings, "latents", "faces"), "faces")
    assert ids.tolist() == [1_000_000_000 + index for index in range(4)] and w.shape == (4, 512)
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        compute(settings, "latents", "trian")


def test_what_can_change_a_latent_is_in_the_fingerprint_and_nothing_else(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    stage = stage_of(settings, "latents", "train")
    assert stage == stage_of(settings.on(workers=9, shard_size=512, device="cuda"), "latents", "train")
    assert stage == stage_of(with_protocol(settings, profile="other", n_faces=9, n_steps=8), "latents", "train")
    for change in ({"seed": 8}, {"n_latents": 512}, {"truncation_psi": 0.7}):
        assert stage != stage_of(with_protocol(settings, **change), "latents", "train")
    assert stage != stage_of(settings, "latents", "train", card=with_weights(generator="0"))
    assert stage == stage_of(settings, "latents", "train", card=with_weights(scorer_a="0"))


def test_a_part_is_read_from_the_files_that_hold_it(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    with pytest.raises(StageError, match="not computed"):
        read_w(reading(settings, "latents", "train"), "train")
    whole = w_of(settings)
    ids, part = read_w(reading(settings, "latents", "train"), "train", 200, 300)
    assert ids.tolist() == list(range(200, 300))
    np.testing.assert_array_equal(part, whole[200:300])
    folder = stage_of(settings, "latents", "train").folder(tmp_path)
    victim = sorted(folder.glob("*.parquet"))[3]
    victim.write_bytes(victim.read_bytes()[:-1])
    np.testing.assert_array_equal(read_w(reading(settings, "latents", "train"), "train", 0, 768)[1], whole[:768])
    with pytest.raises(CorruptShardError, match=victim.name):
        read_w(reading(settings, "latents", "train"), "train")
    np.testing.assert_array_equal(w_of(settings), whole)


def test_another_process_with_other_threads_draws_the_same(tmp_path: Path) -> None:
    reference = w_of(tiny_settings(tmp_path / "a"))
    command = [sys.executable, "-m", "tests.worlds.px8", str(tmp_path / "b"), "2", "512", "-1"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={"PATH": "", "OMP_NUM_THREADS": "2"})
    drawn = reading(tiny_settings(tmp_path / "b"), "latents", "train")
    np.testing.assert_array_equal(read_w(drawn, "train")[1], reference)


def test_dask_workers_draw_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = w_of(tiny_settings(tmp_path / "a", shard_size=1024))
    monkeypatch.setitem(KIND, "latents", replace(KIND["latents"], compute=px8.latent_shard_on_worker))
    try:
        settings = tiny_settings(tmp_path / "b", executor="dask", workers=2, shard_size=256)
        np.testing.assert_array_equal(w_of(settings), reference)
    finally:
        shards.close()
