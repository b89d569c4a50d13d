"""Inverted photographs in place of sampled faces: the codes that are edited, what they change, what is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.chain.inputs import read_faces, read_values, read_w
from pipeline.chain.links import Chain
from pipeline.chain.sets import FACES, SETS, z_of
from pipeline.domains import base
from pipeline.errors import ConfigError, StageError
from pipeline.inversion import table as photographs
from pipeline.inversion.table import read_codes
from pipeline.methods import registry
from pipeline.report.publish import faces_in_words
from pipeline.settings.settings import Settings, load_settings
from pipeline.storage.files import file_sha256
from pipeline.tables.parquet import read_table, write_table
from pipeline.tables.schemas import INVERTED
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px8
from tests.worlds.px8 import tiny_settings

ROOT = Path(__file__).parents[3]
CODES = np.random.default_rng(5).standard_normal((6, 512)).astype(np.float32)


@pytest.fixture(autouse=True)
def tiny_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    px8.lend(monkeypatch)


def table(path: Path, codes: np.ndarray = CODES, **columns: Sequence[Any]) -> Path:
    count = len(codes)
    numbers = ("loss", "lpips", "mean_face_lpips", "ssim", "pixel_error", "identity_recognizer_b", "value_error")
    rows: dict[str, Any] = {name: [0.0] * count for name in (*numbers, "face_probability", "displacement", "side")}
    rows |= {"latent_id": range(count), "photo": ["a.png"] * count, "photo_sha256": ["0" * 64] * count}
    rows |= {"domain": [px8.NAME] * count, "generator": [px8.describe().weights["generator"]] * count}
    rows |= {"space": ["w"] * count, "w": codes, "steps": [1] * count, "seed": [0] * count}
    write_table({**rows, **columns}, INVERTED, path)
    return path


def with_photographs(outputs: Path, path: Path, **sizes: int) -> Settings:
    settings = tiny_settings(outputs)
    small = {"n_rate_faces": 5, "n_consistency_faces": 3, **sizes}
    photographs = {"faces_from": str(path), "faces_sha256": file_sha256(path)}
    return replace(settings, experiment=replace(settings.experiment, **photographs, **small))  # type: ignore[arg-type]


def test_the_edited_faces_are_the_tables_codes_under_the_usual_ids(tmp_path: Path) -> None:
    settings = with_photographs(tmp_path / "out", table(tmp_path / "faces.parquet"))
    for which, count in (("faces", 4), ("rates", 5)):
        compute(settings, "latents", which)
        ids, w = read_w(reading(settings, "latents", which), which)
        assert ids.tolist() == [settings.experiment.first_face_id + place for place in range(count)]
        np.testing.assert_array_equal(w, CODES[:count])
    compute(settings, "labels", "faces")
    domain = base.load(px8.NAME, "cpu")
    work = reading(settings, "labels", "faces")
    _, faces = read_faces(work, domain, 1, 3)
    np.testing.assert_array_equal(faces.ws[:, 0].numpy(), CODES[1:3])
    np.testing.assert_array_equal(faces.values.numpy(), read_values(work, "faces")[1][1:3])
    assert faces.z is None
    with pytest.raises(StageError, match="no z is known"):
        z_of(settings, "faces", np.arange(2))


def test_the_tables_bytes_are_in_the_fingerprint_and_its_place_is_not(tmp_path: Path) -> None:
    sampled = tiny_settings(tmp_path)
    one = with_photographs(tmp_path, table(tmp_path / "a.parquet"))
    moved = with_photographs(tmp_path, table(tmp_path / "b.parquet"))
    other = with_photographs(tmp_path, table(tmp_path / "c.parquet", CODES + 1))
    for which in SETS:
        stages = [stage_of(each, "latents", which) for each in (sampled, one, moved, other)]
        assert stages[1] == stages[2]
        assert (stages[0] == stages[1]) == (stages[1] == stages[3]) == (which not in FACES)
    assert stage_of(one, "labels", "faces") != stage_of(other, "labels", "faces")
    assert one.as_json() == moved.as_json() != other.as_json()
    assert "faces_sha256" in one.as_json()["protocol"] and "faces_from" not in one.as_json()["protocol"]
    assert not [name for name in sampled.as_json()["protocol"] if name.startswith("faces_")]
    assert faces_in_words(one) == "4 inverted photographs" and faces_in_words(sampled) == "sampled latents"


def test_more_faces_than_photographs_is_told_with_the_remedy(tmp_path: Path) -> None:
    settings = with_photographs(tmp_path, table(tmp_path / "a.parquet"), n_faces=7, n_rate_faces=8)
    message = (
        "6 photographs, but profile test asks for n_faces = 7, n_rate_faces = 8.*"
        "--set profile.test.n_faces=6 --set profile.test.n_rate_faces=6"
    )
    with pytest.raises(ConfigError, match=message):
        Chain(settings)
    Chain(with_photographs(tmp_path, table(tmp_path / "a.parquet")))


def test_tables_that_cannot_be_edited_are_refused(tmp_path: Path) -> None:
    path, card = tmp_path / "a.parquet", px8.describe()
    for columns, message in (
        ({"domain": ["ffhq"] * 6}, "is of the domain ffhq, expected tiny"),
        ({"generator": ["f" * 64] * 6}, f"is of generator {'f' * 16}, expected {card.weights['generator'][:16]}"),
        ({"space": ["w+"] * 6}, "codes in w\\+; the evaluation edits one code per face"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_codes(with_photographs(tmp_path, table(path, **columns)), card)
    path.write_text("no table")
    with pytest.raises(ConfigError, match="expected a table that `latentbench invert` wrote"):
        read_codes(with_photographs(tmp_path, path), card)


def test_a_table_that_is_replaced_during_the_run_is_noticed(tmp_path: Path) -> None:
    settings = with_photographs(tmp_path, table(tmp_path / "a.parquet"))
    table(tmp_path / "a.parquet", CODES + 1)
    with pytest.raises(StageError, match="was replaced during the run"):
        compute(settings, "latents", "faces")


def test_methods_of_space_z_are_refused_before_anything_runs(tmp_path: Path) -> None:
    settings = with_photographs(tmp_path, table(tmp_path / "a.parquet"))
    with pytest.raises(ConfigError, match="no z, which interfacegan_z edits.*--method noop"):
        Chain(replace(settings, methods=(("interfacegan_z", ()), ("noop", ()))))


def test_the_setting_arrives_with_the_files_sha256(tmp_path: Path) -> None:
    def load(value: str) -> Settings:
        return load_settings(
            known_methods=registry.names(),
            known_domains=base.names(),
            methods=["noop"],
            overrides={"protocol.faces_from": value},
            path=ROOT / "luigi.cfg",
        )

    path = table(tmp_path / "a.parquet")
    experiment = load(str(path)).experiment
    assert (experiment.faces_from, experiment.faces_sha256) == (str(path), file_sha256(path))
    assert load("").experiment.faces_sha256 == ""
    with pytest.raises(ConfigError, match=r"\[protocol\] faces_from: expected a table .*No such file"):
        load(str(tmp_path / "none.parquet"))


def test_what_never_ends_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(
            ConfigError, match="faces_from: expected a table .*(it is a pipe or a device|Is a directory)"
        ):
            load_settings(
                known_methods=registry.names(),
                known_domains=base.names(),
                methods=["noop"],
                overrides={"protocol.faces_from": str(path)},
                path=ROOT / "luigi.cfg",
            )


def test_of_a_table_of_many_rows_those_are_read_that_are_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 photographs of one code are 40 MB, in a file of some KB; the run edits five."""
    small = read_table(table(tmp_path / "small.parquet"), INVERTED).take([0] * 20_000)
    many = tmp_path / "many.parquet"
    pq.write_table(small, many, compression="zstd")
    assert many.stat().st_size < 2**18
    del small
    before, held = pa.total_allocated_bytes(), []
    real = photographs.vectors

    def spied(found: pa.Table, column: str) -> np.ndarray:
        held.append(pa.total_allocated_bytes() - before)
        return real(found, column)

    monkeypatch.setattr(photographs, "vectors", spied)
    codes = read_codes(with_photographs(tmp_path, many, n_rate_faces=5), px8.describe())
    np.testing.assert_array_equal(codes, CODES[[0] * 5])
    assert held[0] < 2 * 2**20
    with pytest.raises(ConfigError, match="the table has 20000 photographs, but profile test asks for"):
        read_codes(with_photographs(tmp_path, many, n_faces=20_001), px8.describe())
