"""The domain in miniature: what its card says, how it is loaded, and what is said where files are missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.domains import base
from pipeline.domains.photoface import centres, domain, files, measuring
from pipeline.domains.photoface.networks import read_generator, read_recognizers
from pipeline.errors import ConfigError, WeightsError
from pipeline.planning import doctor
from pipeline.planning.doctor import BAD, GOOD, WARNING, Finding, diagnose
from pipeline.settings.downloads import Downloads, Sources
from pipeline.storage.fingerprint import digest
from pipeline.weights.store import Store
from pipeline.weights.table import groups, read_table
from stylegan.sampling import draw_z
from tests.builders import photoface_files
from tests.builders.experiments import machine

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photoface_files.lay_out(tmp_path_factory.mktemp("photoface") / "weights")


@pytest.fixture
def store(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Links to the files: whatever is written takes the place of one and leaves the file itself as it is."""
    folder = shutil.copytree(made, tmp_path / "weights", copy_function=os.link)
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", str(folder))
    return photoface_files.use(folder, monkeypatch)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def sources(store: Store) -> Sources:
    return Sources(Downloads(folder=str(store.folder)))


def findings(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    monkeypatch.setattr(doctor, "_narrow", lambda: "asked in a process of its own")
    return {finding.subject: finding for finding in diagnose(machine(), outputs, domain="photoface")}


def test_every_role_of_the_table_is_a_networks_or_said_to_be_in_no_run() -> None:
    table = read_table()
    used = {name for names in files.FETCHED.values() for name in names} | set(files.TRUNKS.values())
    spare = {weight.name for weight in groups(table)["photoface"] if weight.role in domain.NOT_IN_RUNS}
    assert used.isdisjoint(spare) and used | spare == {weight.name for weight in groups(table)["photoface"]}


def test_the_trunk_that_is_in_losses_judges_nothing() -> None:
    assert files.TRUNKS["scorer_a"] not in (files.TRUNKS["scorer_b"], *files.FETCHED["perception"])


def test_the_card_of_a_laid_out_domain(store: Store) -> None:
    card = domain.describe(sources(store))
    assert (card.name, card.layers, card.feature_width, card.classes, card.embedding) == (
        "photoface",
        8,
        1280,
        1000,
        1024,
    )
    assert set(card.weights) == {*domain.ROLES, "detector"} and len(set(card.weights.values())) == len(card.weights)
    assert card.stand_in and all(name.startswith("stand-in-") for name in card.networks.values())
    assert card.networks["recognizer_b"] == f"stand-in-human-faceres-{card.weights['recognizer_b'][:8]}"
    assert base.network_name(card, "lpips") == f"{card.networks['perception']}-lpips-without-heads"
    assert card.left_out == {}


@pytest.mark.parametrize("name", files.FETCHED["generator"])
def test_the_fingerprint_changes_with_every_file_of_the_generator(name: str, store: Store) -> None:
    before = files.fetched("generator", store)
    (store.folder / "draft").write_bytes(b"another")
    store.stand_in(store.weight(name), store.folder / "draft")
    after = files.fetched("generator", store)
    assert after.usable and after.sha256 != before.sha256
    with pytest.raises(WeightsError, match="recognizer_a.*recognizer_b") as caught:
        domain.describe(sources(store))
    assert centres.COMMAND in str(caught.value), "their centres were measured with another generator"


def test_the_fingerprint_changes_with_trunk_and_head_of_a_scorer(store: Store) -> None:
    first = files.look(sources(store))["scorer_a"].sha256
    photoface_files.put_scorer(files.FOLDER, "scorer_a", note="the same numbers")
    assert files.look(sources(store))["scorer_a"].sha256 == first
    card = files.look(sources(store))["scorer_a"].card
    trunk = store.verify(store.weight("efficientnet-lite0")).sha256
    assert first == digest({"head": card["sha256"], "trunk": trunk})


def test_what_a_scorer_left_out_is_said_with_its_reason(store: Store) -> None:
    photoface_files.put_scorer(files.FOLDER, "scorer_b", left_out={"pitch": "R2 of .1 on held-out faces"})
    card = domain.describe(sources(store))
    assert list(card.left_out) == ["pitch"] and "scorer B left it out, R2 of .1" in card.left_out["pitch"]
    with pytest.raises(ConfigError):
        card.check_attributes(["age", "pitch"])
    card.check_attributes(["age", "yaw"])


def test_loaded_networks_are_those_of_the_files(store: Store) -> None:
    loaded = domain.load(CPU, sources(store))
    alone = read_generator(store)
    ws = loaded.generator.mapping(torch.from_numpy(draw_z(1, np.arange(3))), truncation_psi=0.7)
    images = loaded.generator.synthesis(ws).clamp(-1, 1)
    assert torch.equal(images, alone.generator.synthesis(ws).clamp(-1, 1)) and images.shape == (3, 3, 64, 64)
    assert loaded.mean_distance == photoface_files.MEAN_DISTANCE and loaded.generator.num_ws == 8
    assert loaded.scorer_a(images).shape == (3, 35) and not torch.equal(
        loaded.scorer_a(images), loaded.scorer_b(images)
    )
    assert loaded.perception.variant.name == "EfficientNet-Lite1"  # type: ignore[union-attr]
    features, logits, coordinates = loaded.perceive(images)
    assert features.shape == (3, 1280) and logits.shape == (3, 1000) and coordinates.shape[1] > 0
    assert loaded.truth is loaded.parts is loaded.reader is loaded.lpips is None
    assert not any(parameter.requires_grad for parameter in loaded.recognizer_a.parameters())


def test_recognizers_are_centred_by_the_mean_descriptor(store: Store) -> None:
    generator = read_generator(store).generator
    ids = np.arange(measuring.FIRST_ID, measuring.FIRST_ID + 3)
    images = generator(torch.from_numpy(draw_z(measuring.SEED, ids)), truncation_psi=0.7).clamp(-1, 1)
    raw, centred = read_recognizers(store, centred=False), read_recognizers(store, centred=True)
    assert set(raw) == set(centred) == set(centres.ROLES) and len(raw) == 2
    for role in centres.ROLES:
        assert not raw[role].centre.any()
        torch.testing.assert_close(
            centred[role].centre, raw[role].descriptors(images).mean(dim=0), rtol=1e-5, atol=1e-6
        )
        assert torch.linalg.vector_norm(centred[role](images), dim=1) == pytest.approx(1.0)


def test_the_centres_that_come_with_the_package_belong_to_the_files_of_the_table() -> None:
    table = read_table()

    def published(role: str) -> str:
        return digest({name: table[name].sha256 for name in files.FETCHED[role]})

    for role, width in (("recognizer_a", 128), ("recognizer_b", 1024)):
        assert len(centres.centre_of(role, published("generator"), published(role))) == width
    with pytest.raises(WeightsError, match="recognizer_b") as caught:
        centres.centre_of("recognizer_b", "0" * 64, published("recognizer_b"))
    assert centres.COMMAND in str(caught.value)


def test_a_run_without_files_says_which_command_fetches_them(empty: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        base.describe("photoface")
    assert "latentbench weights fetch photoface" in str(caught.value) and str(empty) in str(caught.value)
    assert all(role in str(caught.value) for role in files.FETCHED) and not empty.exists()


def test_the_doctor_names_one_command_for_all_missing_files(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = findings(tmp_path, monkeypatch)
    assert found["weights photoface"].state == found["domain photoface"].state == BAD
    assert "latentbench weights fetch photoface" in found["weights photoface"].message
    assert not [subject for subject in found if subject.startswith("weights photoface generator")]


def test_files_that_no_run_reads_may_be_missing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(tmp_path, monkeypatch)
    assert found["weights photoface"].state == WARNING and "10 of 20" in found["weights photoface"].message
    assert found["domain photoface"].state == WARNING, "stand-ins"
    assert found["weights photoface scorer_a"].state == WARNING
    assert BAD not in {finding.state for subject, finding in found.items() if "photoface" in subject}
    assert GOOD in {finding.state for finding in found.values()}
