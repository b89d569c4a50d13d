"""Photographs to codes, on the embedded domain: how near they come, what is kept, what is refused by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from pipeline.domains import base
from pipeline.domains.base import Domain
from pipeline.images import save_png, strip, to_pil
from pipeline.inversion import run as inversion
from pipeline.inversion.projection import Options, noise_scale, project, rate
from pipeline.inversion.run import invert
from pipeline.networks.pairs import perceptual_distance
from pipeline.tables.parquet import read_table, vectors
from pipeline.tables.schemas import INVERTED
from stylegan.sampling import draw_z
from tasks.cli import app

STEPS = 40
ROUND_TRIP_STEPS = 80  # glasses that are on or off are found late
KEYS = [11, 12, 13]


@pytest.fixture(scope="module")
def domain() -> Domain:
    return base.load("synthface", "cpu")


@pytest.fixture(scope="module")
def w(domain: Domain) -> torch.Tensor:
    """Codes that no training saw."""
    with torch.no_grad():
        return domain.generator.map_to_w(torch.from_numpy(draw_z(4321, np.arange(3))))


@pytest.fixture(scope="module")
def faces(domain: Domain, w: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return domain.generator.synthesis(domain.generator.mapping.broadcast(w)).clamp(-1, 1)


@pytest.fixture
def photos(faces: torch.Tensor, tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"face {place}.png" for place in range(len(faces))]
    for face, path in zip(faces, paths, strict=True):
        save_png(face, path)
    return paths


def test_the_round_trip_comes_far_nearer_than_another_face(domain: Domain, faces: torch.Tensor) -> None:
    losses: list[float] = []
    faces = faces[:2]
    projected = project(
        domain, faces, KEYS[:2], Options(steps=ROUND_TRIP_STEPS), lambda step, loss: losses.append(loss)
    )
    assert projected.ws.shape == (2, domain.generator.num_ws, 512) and len(losses) == ROUND_TRIP_STEPS
    assert losses[-1] < losses[0] / 3
    with torch.no_grad():
        images = domain.generator.synthesis(projected.ws)
        alike = perceptual_distance(domain.perception)
        near, other = alike(images, faces).flatten(), alike(faces.roll(1, 0), faces).flatten()
        values = (domain.scorer_b(images) - domain.scorer_b(faces)).abs().mean(dim=1)
        values_of_others = (domain.scorer_b(faces.roll(1, 0)) - domain.scorer_b(faces)).abs().mean(dim=1)
    assert (near < other / 5).all()
    assert ((images - faces).square().mean((1, 2, 3)) < (faces.roll(1, 0) - faces).square().mean((1, 2, 3)) / 6).all()
    assert (values < values_of_others / 2).all()
    assert (projected.ws == projected.ws[:, :1]).all()  # W: one code for all layers


def test_a_code_depends_on_seed_and_photograph_and_not_on_its_batch(domain: Domain, faces: torch.Tensor) -> None:
    together = project(domain, faces, KEYS, Options(steps=4)).ws
    alone = project(domain, faces[1:2], KEYS[1:2], Options(steps=4)).ws
    other = project(domain, faces[1:2], KEYS[1:2], Options(steps=4, seed=1)).ws
    # Adam turns the rounding of a slope near zero into a step, so a few coordinates of w may differ; w as a whole not.
    apart = (together[1:2] - alone).norm()
    assert apart < 0.01 * (other - alone).norm()
    assert apart < 0.01 * (together[:1] - alone).norm()


def test_each_layer_has_its_own_code_in_w_plus(domain: Domain, faces: torch.Tensor) -> None:
    ws = project(domain, faces[:1], KEYS[:1], Options(space="w+", steps=4)).ws
    assert (ws[:, 1:] != ws[:, :1]).any()
    with pytest.raises(ValueError, match="Known: w, w+"):
        project(domain, faces[:1], KEYS[:1], Options(space="z"))


def test_rate_and_noise_follow_the_projectors_schedule() -> None:
    assert rate(0.0) == 0.0 and rate(0.05) == 1.0 and rate(0.75) == 1.0
    assert rate(0.875) == pytest.approx(0.5) and rate(1.0) == pytest.approx(0.0)
    assert noise_scale(0.0) == 0.5 and noise_scale(0.75) == 0.0 == noise_scale(1.0)
    assert noise_scale(0.375) == pytest.approx(0.125)


def test_what_is_finished_is_kept(
    domain: Domain, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, options = tmp_path / "out", Options(steps=2)
    first = invert(domain, photos[:2], folder, options, aligned=True, batch=1)
    assert (
        first.kept == 0 and not first.refused and first.rows.column("photo").to_pylist() == ["face 0.png", "face 1.png"]
    )
    asked: list[int] = []
    real = inversion.project

    def counted(*arguments, **more):  # type: ignore[no-untyped-def]
        asked.append(len(arguments[1]))
        return real(*arguments, **more)

    monkeypatch.setattr(inversion, "project", counted)
    second = invert(domain, photos, folder, options, aligned=True)
    assert second.kept == 2 and asked == [1]
    assert second.table is not None
    rows = read_table(second.table, INVERTED)
    assert rows.column("latent_id").to_pylist() == [0, 1, 2]
    np.testing.assert_array_equal(vectors(rows, "w")[:2], vectors(first.rows, "w"))
    assert rows.select(["lpips", "ssim"]).slice(0, 2).equals(first.rows.select(["lpips", "ssim"]).combine_chunks())
    victim = sorted((folder / "finished").glob("*.parquet"))[0]
    victim.write_bytes(victim.read_bytes()[:-9])
    assert invert(domain, photos, folder, options, aligned=True).kept == 2
    assert invert(domain, photos, folder, Options(steps=3), aligned=True).kept == 0


def test_the_command_names_what_it_cannot_use_and_goes_on(
    photos: list[Path], faces: torch.Tensor, tmp_path: Path
) -> None:
    large = [Image.fromarray(np.asarray(to_pil(face).resize((160, 160)))) for face in faces]
    crowd = Image.new("RGB", (400, 240), "grey")
    for place, face in enumerate(large[:2]):
        crowd.paste(face, (20 + 190 * place, 40))
    crowd.save(tmp_path / "crowd.png")
    Image.new("RGB", (100, 100), "grey").save(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "again.png").write_bytes(photos[0].read_bytes())
    names = ["crowd.png", "empty.png", "text.png", "again.png", "gone.png"]
    command = ["invert", str(photos[0]), *(str(tmp_path / name) for name in names), "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--steps", "2", "--threads", "1", "--domain", "synthface"])
    printed = " ".join(done.output.split())
    assert done.exit_code == 1, printed
    for name, reason in {
        "crowd.png": "2 faces are found in it, expected one",
        "empty.png": "no face is found in it",
        "text.png": "it is not a picture",
        "again.png": "it is the same file",
        "gone.png": "there is no such file",
    }.items():
        assert f"{name}: {reason}" in printed
    assert "1 of 6 photographs" in printed and "5 of 6 photographs are left out" in printed
    assert Image.open(tmp_path / "out" / "sheet.png").size == (2 * 64 + 2, 64)


def test_a_name_that_is_no_text_and_a_pipe_end_no_call(domain: Domain, photos: list[Path], tmp_path: Path) -> None:
    odd = photos[0].rename(tmp_path / "caf\udce9.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = invert(domain, [odd, tmp_path / "pipe.png"], tmp_path / "out", Options(steps=1), aligned=True)
    assert found.rows.column("photo").to_pylist() == ["caf\\udce9.png"]
    assert "it is a pipe or a device" in found.refused[0][1]
    command = ["invert", str(odd), "--to", str(tmp_path / "out"), "--steps", "1", "--aligned", "--threads", "1"]
    done = CliRunner().invoke(app, [*command, "--domain", "synthface"])
    assert done.exit_code == 0, done.output
    assert "caf\\udce9.png" in done.output


def test_where_no_photograph_can_be_used_no_network_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "load", lambda *_: pytest.fail("a network was loaded"))
    command = ["invert", str(tmp_path), str(tmp_path / "none.jpg"), "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    printed = " ".join(done.output.split())
    assert (
        done.exit_code == 1 and f"{tmp_path}: it is a folder: name the pictures in it, such as {tmp_path}/*" in printed
    )
    assert "none.jpg: there is no such file" in printed and "2 of 2 photographs are left out" in printed
    assert not (tmp_path / "out").exists()
    refused = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert refused["photographs"] == [] and len(refused["refused"]) == 2


def test_a_face_of_too_few_pixels_and_no_face_at_all(domain: Domain, faces: torch.Tensor, tmp_path: Path) -> None:
    to_pil(faces[0]).resize((32, 32)).crop((0, 0, 32, 32)).save(tmp_path / "small.png")
    save_png(strip(faces[:1].repeat(2, 1, 1, 1)), tmp_path / "wide.png")
    found = invert(domain, [tmp_path / "wide.png"], tmp_path / "out", Options(steps=1), aligned=True)
    assert found.table is None and "aligned photographs are squares" in found.refused[0][1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inversion, "LARGEST_ENLARGEMENT", 1.5)
        found = invert(domain, [tmp_path / "small.png"], tmp_path / "out", Options(steps=1), aligned=True)
    assert "too small: the square around it is 32 pixels wide, expected at least 43" in found.refused[0][1]


def test_json_and_bad_options(photos: list[Path], tmp_path: Path) -> None:
    def call(*more: str):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(app, ["invert", str(photos[0]), "--to", str(tmp_path / "out"), *more])

    done = call("--aligned", "--steps", "2", "--threads", "1", "--json")
    printed = json.loads(done.stdout)
    assert done.exit_code == 0 and printed["refused"] == [] and printed["photographs"][0]["photo"] == "face 0.png"
    wrong = call("--space", "ww")
    assert wrong.exit_code == 2 and "No space named 'ww'" in wrong.output
    assert "Did you mean 'synthface'" in call("--domain", "synthfac").output


def test_codes_of_w_plus_are_kept_layer_by_layer(domain: Domain, photos: list[Path], tmp_path: Path) -> None:
    rows = invert(domain, photos[:1], tmp_path / "out", Options(space="w+", steps=2), aligned=True).rows.to_pylist()
    assert rows[0]["w"] is None and len(rows[0]["ws"]) == domain.generator.num_ws * 512
    codes = torch.tensor(rows[0]["ws"]).reshape(1, -1, 512)
    assert (codes[:, 1:] != codes[:, :1]).any()
