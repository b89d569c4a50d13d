"""Edits are what the method makes of every face at every step, measured against the face's unedited image."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.attributes import index_of
from pipeline.chain.grid import edits as editing
from pipeline.chain.grid.edits import face_blocks
from pipeline.chain.grid.gallery import FACES, LARGEST, STEPS, gallery_steps, reduced
from pipeline.chain.inputs import load_method, read_range, read_values, read_w
from pipeline.chain.views import PIXEL_NOISE
from pipeline.domains import base
from pipeline.images import to_uint8
from pipeline.networks.pairs import perceptual_distance, structural_similarity
from pipeline.settings.settings import Settings
from pipeline.storage.stages import read_manifest
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage, values_of, vectors
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px16
from tests.worlds.px16 import run_to_edits, scene_settings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    patch = pytest.MonkeyPatch()
    patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
    settings = scene_settings(tmp_path_factory.mktemp("scenes"))
    run_to_edits(settings)
    yield settings
    patch.undo()


def edits(settings: Settings, method: str):
    return read_stage(stage_of(settings, "edits", method), settings.outputs, schemas.EDITS)


def features(settings: Settings, method: str):
    stage = stage_of(settings, "edits", method)
    return read_stage(stage, settings.outputs, schemas.features(px16.WIDTH, px16.CLASSES))


def test_every_face_step_and_attribute_is_there_once(run: Settings) -> None:
    table = edits(run, "random")
    keys = list(zip(*(table.column(name).to_pylist() for name in ("attribute", "face_id", "step")), strict=True))
    assert len(keys) == run.experiment.edits_per_method == len(set(keys))
    assert keys == sorted(keys), "attributes happen to be in alphabetical order here"
    seen = features(run, "random")
    assert keys == list(zip(*(seen.column(name).to_pylist() for name in ("attribute", "face_id", "step")), strict=True))


def test_strengths_cut_the_range_in_equal_steps(run: Settings) -> None:
    table = edits(run, "random")
    limits = read_range(reading(run, "range", "random", "age"), "age")
    strength = table.column("strength").to_numpy()[:5]
    np.testing.assert_allclose(strength, np.linspace(limits["low"], limits["high"], 5))


@torch.no_grad()
def test_rows_are_what_a_plain_loop_computes(run: Settings) -> None:
    """One image at a time, from the codes up."""
    domain, method = base.load(px16.NAME, "cpu"), load_method(reading(run, "train", "random"))
    ids, w = read_w(reading(run, "latents", "faces"), "faces")
    _, labels, _ = read_values(reading(run, "labels", "faces"), "faces")
    rows = edits(run, "random").to_pylist()
    values, seen = values_of(edits(run, "random")), features(run, "random")
    vector, logits = vectors(seen, "feature"), vectors(seen, "logits")
    for index in (0, 7, 29, 31, 59):
        row = rows[index]
        face = ids.tolist().index(row["face_id"])
        ws = domain.generator.mapping.broadcast(torch.from_numpy(w[face : face + 1]))
        strengths = torch.zeros(1, 35)
        strengths[0, index_of(row["attribute"])] = row["strength"]
        edited = method.edit(ws, strengths, torch.from_numpy(labels[face : face + 1]))
        image, before = (domain.generator.synthesis(code).clamp(-1, 1) for code in (edited, ws))
        np.testing.assert_allclose(values[index], domain.scorer_b(image)[0], atol=1e-5)
        assert row["start_value"] == pytest.approx(
            float(domain.scorer_b(before)[0, index_of(row["attribute"])]), abs=1e-5
        )
        for name in ("recognizer_a", "recognizer_b"):
            network = getattr(domain, name)
            distance = 1 - float((network(image) * network(before)).sum())
            assert row[f"identity_{name}"] == pytest.approx(distance, abs=1e-5)
        person = (domain.reader(image) - domain.reader(before))[0, [0, 2, 3]] / 0.01 * 0.8 / 2.0
        assert row["true_identity_distance"] == pytest.approx(float(person.norm()), abs=1e-4)
        assert row["true_identity_error"] == pytest.approx(0.35)
        box = domain.detector.detect(image, threshold=0.9)
        one, other = (domain.detector.identity_features(picture, box.box) for picture in (image, before))
        cosine = torch.nn.functional.cosine_similarity(one, other)
        assert row["identity_mtcnn"] == pytest.approx(1 - float(cosine), abs=1e-5)
        assert row["detected"] == bool(box.found)
        assert row["probability"] == pytest.approx(float(box.probability), abs=1e-5)
        assert row["lpips"] == pytest.approx(float(perceptual_distance(domain.perception)(image, before)), abs=1e-4)
        assert row["ssim"] == pytest.approx(float(structural_similarity(image, before)), abs=1e-4)
        np.testing.assert_allclose(vector[index], domain.perception.features(image)[0], atol=1e-4)
        np.testing.assert_allclose(logits[index], domain.perception.logits(image)[0], atol=1e-4)
        squared = (image - before).square()[0].sum(dim=0)
        own = squared[:, : squared.shape[1] // 2] if row["attribute"] == "age" else squared[squared.shape[0] // 2 :]
        if float((image - before).abs().max()) > PIXEL_NOISE:
            assert row["local_share"] == pytest.approx(float(own.sum() / squared.sum()), rel=1e-3)
            assert row["parts_area"] == pytest.approx(0.5)
        else:
            assert (row["local_share"], row["parts_area"]) == (None, None)
        moved = float((edited - ws)[0, 0].norm()) / domain.mean_distance
        assert row["displacement"] == pytest.approx(moved, rel=1e-4)


def test_no_edit_at_all_scores_perfect(run: Settings) -> None:
    table = edits(run, "noop")
    identity = ("identity_mtcnn", "identity_recognizer_a", "identity_recognizer_b", "true_identity_distance")
    for name in (*identity, "lpips", "displacement"):
        assert abs(table.column(name).to_numpy()).max() < 1e-5
    np.testing.assert_allclose(table.column("ssim").to_numpy(), 1.0, atol=1e-5)
    age = table.column("attribute").to_numpy() == "age"
    np.testing.assert_allclose(
        table.column("value_age").to_numpy()[age], table.column("start_value").to_numpy()[age], atol=1e-6
    )


def test_a_domain_that_knows_no_truth_has_null(run: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same edits by a domain without a reader: null in both columns, the rest to the bit, another stage."""
    card = px16.describe()
    unread = replace(card, weights={role: sha for role, sha in card.weights.items() if role != "reader"})
    blind = replace(base.load(px16.NAME, "cpu"), card=unread, reader=None, parts=None)
    monkeypatch.setattr(base, "load", lambda *which: blind)
    monkeypatch.setattr(px16, "describe", lambda: unread)
    settings = scene_settings(tmp_path, ("random",))
    run_to_edits(settings)
    table, known = (
        edits(settings, "random"),
        ["true_identity_distance", "true_identity_error", "local_share", "parts_area"],
    )
    assert all(table.column(name).null_count == table.num_rows for name in known)
    monkeypatch.undo()
    assert table.drop(known).equals(edits(run, "random").drop(known))
    assert stage_of(run, "edits", "random", card=unread) != stage_of(run, "edits", "random")


def test_where_no_face_is_found_the_box_is_the_image(run: Settings) -> None:
    table = edits(run, "random")
    found = table.column("detected").to_numpy(zero_copy_only=False)
    right = table.column("box_right").to_numpy()
    assert (right[found] == 12).all() and (right[~found] == px16.SIZE).all()


def test_batches_and_shards_lie_at_fixed_places(run: Settings, tmp_path: Path) -> None:
    """Another shard size of the machine changes no bit."""
    other = scene_settings(tmp_path, ("random",), shard_size=512)
    run_to_edits(other)
    assert edits(other, "random").equals(edits(run, "random"))
    assert features(other, "random").equals(features(run, "random"))


@pytest.fixture
def copy(run: Settings, tmp_path: Path) -> Settings:
    """The run in a folder of its own, for a test that damages it."""
    return replace(run, outputs=Path(shutil.copytree(run.outputs, tmp_path / "copy")))


def test_a_lost_file_alone_is_computed_again(copy: Settings) -> None:
    stage = stage_of(copy, "edits", "noop")
    before = {record.name: record for record in read_manifest(stage, copy.outputs).shards}
    lost = next(name for name in before if name.startswith("features-glasses"))
    kept = stage.folder(copy.outputs) / next(name for name in before if name.startswith("edits-age"))
    changed = kept.stat().st_mtime_ns
    (stage.folder(copy.outputs) / lost).write_bytes(b"PAR1")
    compute(copy, "edits", "noop")
    after = {record.name: record for record in read_manifest(stage, copy.outputs).shards}
    assert {name: record.sha256 for name, record in before.items()} == {n: r.sha256 for n, r in after.items()}
    assert kept.stat().st_mtime_ns == changed


def test_blocks_cover_every_face_once() -> None:
    for faces, steps in ((6, 5), (50, 11), (50, 41), (3, 1000), (1, 2)):
        blocks = face_blocks(faces, steps)
        assert np.concatenate(blocks).tolist() == list(range(faces))
        assert max(map(len, blocks)) - min(map(len, blocks)) <= 1
    assert len(face_blocks(6, 5)) == 1
    assert max(len(block) * 41 for block in face_blocks(50, 41)) < 2 * editing.SHARD_IMAGES


@torch.no_grad()
def test_reference_holds_unedited_images(run: Settings) -> None:
    stage = stage_of(run, "reference", "reference")
    table = read_stage(stage, run.outputs, schemas.features(px16.WIDTH, px16.CLASSES))
    ids, w = read_w(reading(run, "latents", "reference"), "reference")
    assert table.column("face_id").to_pylist() == ids.tolist()
    assert set(table.column("attribute").to_pylist()) == {""}
    domain = base.load(px16.NAME, "cpu")
    images = domain.generator.synthesis(domain.generator.mapping.broadcast(torch.from_numpy(w[:9]))).clamp(-1, 1)
    np.testing.assert_allclose(vectors(table, "feature")[:9], domain.perception.features(images), atol=1e-4)


def test_timings_are_of_single_edits(run: Settings) -> None:
    table = read_stage(stage_of(run, "timing", "random"), run.outputs, schemas.TIMINGS)
    edit, both = (table.column(name).to_numpy() for name in schemas.TIMINGS.names[2:])
    assert len(edit) == run.experiment.n_timings
    assert (0 < edit).all() and (edit < both).all()


@torch.no_grad()
def test_gallery_shows_the_edits_of_the_table(run: Settings) -> None:
    gallery = read_stage(stage_of(run, "gallery", "random"), run.outputs, schemas.GALLERY)
    rows = edits(run, "random").to_pylist()
    known = {(row["attribute"], row["face_id"], row["step"]): row for row in rows}
    assert gallery.num_rows == 2 * FACES * (1 + len(gallery_steps(5)))
    domain, method = base.load(px16.NAME, "cpu"), load_method(reading(run, "train", "random"))
    ids, w = read_w(reading(run, "latents", "faces"), "faces")
    _, labels, _ = read_values(reading(run, "labels", "faces"), "faces")
    for row in [row for row in gallery.to_pylist() if row["step"] != schemas.UNEDITED][::7]:
        edit = known[row["attribute"], row["face_id"], row["step"]]
        value = schemas.value_column({"age": "age", "glasses": "glasses"}[row["attribute"]])
        assert (row["strength"], row["detected"], row["value"]) == (edit["strength"], edit["detected"], edit[value])
        face = ids.tolist().index(row["face_id"])
        ws = domain.generator.mapping.broadcast(torch.from_numpy(w[face : face + 1]))
        strengths = torch.zeros(1, 35)
        strengths[0, index_of(row["attribute"])] = row["strength"]
        image = domain.generator.synthesis(method.edit(ws, strengths, torch.from_numpy(labels[face : face + 1])))
        picture = np.array(Image.open(io.BytesIO(row["png"]))).astype(int)
        assert abs(picture - to_uint8(image)[0].numpy()).max() <= 1


@torch.no_grad()
def test_gallery_shows_every_unedited_face(run: Settings) -> None:
    gallery = read_stage(stage_of(run, "gallery", "random"), run.outputs, schemas.GALLERY)
    starts = [row for row in gallery.to_pylist() if row["step"] == schemas.UNEDITED]
    ids, w = read_w(reading(run, "latents", "faces"), "faces")
    assert len(starts) == 2 * FACES and {row["face_id"] for row in starts} <= set(ids.tolist())
    known = {(row["attribute"], row["face_id"]): row["start_value"] for row in edits(run, "random").to_pylist()}
    domain = base.load(px16.NAME, "cpu")
    for row in starts[::3]:
        assert (row["strength"], row["regions"]) == (0.0, None)
        assert row["value"] == known[row["attribute"], row["face_id"]]
        face = ids.tolist().index(row["face_id"])
        image = domain.generator.synthesis(domain.generator.mapping.broadcast(torch.from_numpy(w[face : face + 1])))
        picture = np.array(Image.open(io.BytesIO(row["png"]))).astype(int)
        assert abs(picture - to_uint8(image.clamp(-1, 1))[0].numpy()).max() <= 1


def test_pictures_of_large_images_are_reduced() -> None:
    small, large = torch.rand(1, 3, 64, 64), torch.full((1, 3, 2 * LARGEST, 2 * LARGEST), 0.5)
    assert reduced(small) is small
    torch.testing.assert_close(reduced(large), large[..., ::2, ::2])


def test_gallery_steps_keep_both_ends() -> None:
    assert gallery_steps(5) == [0, 1, 2, 3, 4]
    steps = gallery_steps(41)
    assert (steps[0], steps[-1], len(steps)) == (0, 40, STEPS)
