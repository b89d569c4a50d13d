"""What the domain needs, what it says is missing, and which settings it refuses. No network is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pipeline.attributes import NAMES
from pipeline.domains import base
from pipeline.domains.ffhq import domain, files
from pipeline.errors import ConfigError, UnknownNameError, WeightsError
from pipeline.methods import registry
from pipeline.planning.doctor import BAD, GOOD, WARNING, diagnose
from pipeline.settings.downloads import Downloads, load_sources
from pipeline.settings.settings import load_settings
from pipeline.storage.files import file_sha256
from pipeline.weights.fetch import fetch
from pipeline.weights.marks import is_marked, mark
from pipeline.weights.records import Record, read_records, write_record
from pipeline.weights.store import MISSING, STAND_IN, WRONG, Store
from pipeline.weights.table import read_table
from tests.builders.experiments import machine
from tests.builders.ffhq_weights import PUBLISHED, lay_out, put

ROOT = Path(__file__).parents[4]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LUIGI_CONFIG_PATH", raising=False)
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    text = (ROOT / "luigi.cfg").read_text()
    assert old in text
    (tmp_path / "mine.cfg").write_text(text.replace(old, new))
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(tmp_path / "mine.cfg"))


def test_without_files_every_one_is_named_with_its_command(folder: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        base.describe("ffhq")
    first, *lines = str(caught.value).splitlines()
    assert "lacks 7 of 7 files" in first and all(role in first for role in domain.ROLES)
    for line, text in zip(
        lines,
        (
            "weights fetch ffhq-1024 (from https://nvlabs",
            f"scorer train --from ffhq --images DIR --labels DIR --role a --to {folder / 'ffhq-scorer-a.safetensors'}",
            "--role b --to",
            "weights fetch vggface2 (from https://github.com",
            "weights fetch casia-webface",
            "weights fetch inception",
            "weights fetch alexnet (from https://download.pytorch.org/models/alexnet-owt-7be5be79.pth, about 244.4 MB)",
            "weights stand-in ffhq --to",
        ),
        strict=True,
    ):
        assert text in line
    assert not folder.exists()


def test_the_card_of_a_laid_out_domain(folder: Path) -> None:
    lay_out(folder)
    card = base.describe("ffhq")
    assert (card.name, card.resolution, card.feature_width, card.classes) == ("ffhq", 1024, 2048, 1008)
    assert set(card.weights) == {*domain.ROLES, "detector"}
    assert card.networks["generator"] == f"ffhq-1024-{card.weights['generator'][:8]}"
    assert card.networks["scorer_b"] == f"ffhq-scorer-b-{card.weights['scorer_b'][:8]}"
    assert card.networks["recognizer_a"] == f"stand-in-inceptionresnetv1-vggface2-{card.weights['recognizer_a'][:8]}"
    assert card.networks["perception"].startswith("stand-in-inception-2015-12-05-")
    assert card.networks["lpips"].startswith("stand-in-lpips-alex-") and card.networks["detector"] == "mtcnn"
    assert card.stand_in and "STAND-INS" in card.summary


def test_where_the_generator_stands_in_every_name_says_so(folder: Path) -> None:
    lay_out(folder, stand_in=True)
    card = base.describe("ffhq")
    assert all(name.startswith("stand-in-") for name in card.networks.values())
    assert card.networks["detector"] == "stand-in-images-mtcnn"


def test_a_stand_in_never_passes_for_the_published_file(folder: Path) -> None:
    store = lay_out(folder)
    for name in PUBLISHED:
        weight = store.weight(name)
        assert store.standing(weight).state == store.verify(weight).state == STAND_IN
        assert "stand-in, not verified" in store.verify(weight).reason
        with pytest.raises(WeightsError, match="never share a folder"):
            fetch(weight, store, Downloads())
    store.path(store.weight("alexnet")).write_bytes(b"another")
    assert store.verify(store.weight("alexnet")).state == WRONG
    with pytest.raises(WeightsError, match="not the stand-in that was made"):
        store.require("alexnet")
    assert all(record.stand_in for record in read_records(folder).values())


def marked(path: Path) -> Path:
    """A file of torch that says of itself that it is a stand-in."""
    with path.open("w+b") as file:
        torch.save({"features.0.weight": torch.zeros(2)}, file)
        mark(file, "means nothing")
    return path


def test_stand_ins_are_not_taken_into_another_folder(folder: Path, tmp_path: Path) -> None:
    """By the records of their folder, and by the mark in each where it is brought without them."""
    lay_out(folder)
    other = Store(tmp_path / "other", read_table())
    for name in PUBLISHED:
        with pytest.raises(WeightsError, match="weights.lock.json"):
            fetch(other.weight(name), other, Downloads(), source=folder)
        assert other.verify(other.weight(name)).state == MISSING and read_records(other.folder) == {}
    (tmp_path / "stick").mkdir()
    weight = other.weight("vggface2")
    marked(tmp_path / "stick" / weight.file)
    with pytest.raises(WeightsError, match="stand-in"):
        fetch(weight, other, Downloads(), source=tmp_path / "stick")
    marked(other.path(weight))  # by hand
    with pytest.raises(WeightsError, match="stand-in"):
        other.adopt(weight)
    for standing in (other.standing(weight), other.verify(weight)):
        assert standing.state == WRONG and "is a stand-in" in standing.reason
    status = other.path(weight).stat()
    taken = Record(weight.file, file_sha256(other.path(weight)), status.st_size, "SI", "2026", status.st_mtime_ns)
    write_record(other.folder, weight.name, taken)  # as a version that knew no marks would have
    for standing in (other.standing(weight), other.verify(weight)):
        assert standing.state == WRONG


def test_a_mark_changes_no_tensor_and_is_the_same_each_time(tmp_path: Path) -> None:
    plain = tmp_path / "plain.pt"
    torch.save({"features.0.weight": torch.zeros(2)}, plain)
    one, other = marked(tmp_path / "one.pt"), marked(tmp_path / "other.pt")
    assert is_marked(one) and not is_marked(plain) and one.read_bytes() == other.read_bytes()
    assert torch.equal(torch.load(one, weights_only=True)["features.0.weight"], torch.zeros(2))
    (tmp_path / "text.pt").write_text("PK no archive")
    assert not is_marked(tmp_path / "text.pt")


def test_a_file_that_is_no_stand_in_is_not_replaced(folder: Path) -> None:
    from pipeline.domains.ffhq.stand_ins import make

    put(folder, "ffhq-scorer-a")
    with pytest.raises(WeightsError, match="ffhq-scorer-a.safetensors.*Nothing was written"):
        make(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["ffhq-scorer-a.json", "ffhq-scorer-a.safetensors"]
    with pytest.raises(UnknownNameError, match="Did you mean 'narrow'"):
        make(folder, "narow")


def test_an_attribute_that_a_scorer_left_out_is_refused_at_once(folder: Path) -> None:
    from pipeline.chain.links import Chain

    lay_out(folder)
    known = [name for name in NAMES if name != "pitch"]
    put(folder, "ffhq-scorer-b", attributes=known, left_out={"pitch": "R2 of 0.01 on held-out faces"})
    names = {"known_methods": registry.names(), "known_domains": base.names(), "methods": ["noop"], "profile": "smoke"}
    settings = load_settings(domain="ffhq", **names)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"cannot evaluate pitch .*scorer B left it out, R2 of 0.01") as caught:
        Chain(settings)
    assert "--attribute" in str(caught.value)
    Chain(load_settings(domain="ffhq", attributes=["age", "yaw"], **names))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "error", "fault"),
    [
        ("recognizer_b = casia-webface", "recognizer_b = vggface2", ConfigError, "are both 'vggface2'"),
        ("recognizer_b = casia-webface", "recognizer_b = facenet", ConfigError, "vggface2 or casia-webface"),
        ("generator = ffhq-1024.safetensors", "generator = ../x.safetensors", ConfigError, "name of a .safetensors"),
        ("generator = ffhq-1024.safetensors", "generator = ffhq.pkl", ConfigError, "name of a .safetensors"),
        ("scorer_a = ffhq-scorer-a", "scorrer_a = ffhq-scorer-a", UnknownNameError, "Did you mean 'scorer_a'"),
        ("scorer_a = ffhq-scorer-a.safetensors", "scorer_a =", ConfigError, "scorer_a: expected the name"),
    ],
)
def test_settings_that_name_no_file(
    old: str,
    new: str,
    error: type[Exception],
    fault: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configured(tmp_path, monkeypatch, old, new)
    with pytest.raises(error, match=fault):
        base.describe("ffhq")


def test_another_generator_and_swapped_recognizers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(folder)
    before = base.describe("ffhq")
    text = (ROOT / "luigi.cfg").read_text().replace("generator = ffhq-1024", "generator = mine")
    text = text.replace("recognizer_a = vggface2", "recognizer_a = casia-webface")
    (tmp_path / "mine.cfg").write_text(text.replace("recognizer_b = casia-webface", "recognizer_b = vggface2"))
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(tmp_path / "mine.cfg"))
    with pytest.raises(
        WeightsError, match=r"lacks 1 of 7 files.*\n  generator: .*weights import FILE --to .*mine.safet"
    ):
        base.describe("ffhq")
    put(folder, "mine", architecture={"resolution": 256, "z_dim": 512, "w_dim": 512})
    after = base.describe("ffhq")
    assert after.resolution == 256 and after.weights["recognizer_a"] == before.weights["recognizer_b"]
    put(folder, "mine", architecture={"resolution": 256, "z_dim": 64, "w_dim": 512})
    with pytest.raises(WeightsError, match="expected z and w of 512"):
        base.describe("ffhq")


def test_the_judge_is_not_the_teacher(folder: Path) -> None:
    lay_out(folder)
    card = folder / "ffhq-scorer-a.json"
    (folder / "ffhq-scorer-b.json").write_text(card.read_text())
    with pytest.raises(WeightsError, match="are the same network"):
        base.describe("ffhq")
    card.write_text(json.dumps({"sha256": "0" * 64}))
    assert files.look(load_sources("ffhq"))["scorer_a"].state == WRONG


def test_a_run_names_its_files(folder: Path) -> None:
    """They travel with the run's settings, and change no setting that is in a fingerprint."""
    lay_out(folder)
    put(folder, "mine", architecture={"resolution": 256, "z_dim": 512, "w_dim": 512}, name="mine")
    names = {"known_methods": registry.names(), "known_domains": base.names(), "methods": ["noop"]}
    changed = {"domain.ffhq.truncation_psi": "0.7"}
    settings = load_settings(domain="ffhq", overrides=changed, **names)  # type: ignore[arg-type]
    assert settings.experiment.truncation_psi == 0.7
    changed |= {"domain.ffhq.generator": "mine.safetensors"}
    mine = load_settings(domain="ffhq", overrides=changed, **names)  # type: ignore[arg-type]
    assert base.describe("ffhq", mine.sources).resolution == 256
    assert base.describe("ffhq", settings.sources).resolution == base.describe("ffhq").resolution == 1024
    assert mine.as_json() == settings.as_json()
    with pytest.raises(ConfigError, match=r"\[domain.ffhq\] scorer_a: expected"):
        load_settings(domain="ffhq", overrides={"domain.ffhq.scorer_a": ""}, **names)  # type: ignore[arg-type]


def test_a_run_names_its_weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative one is one of the process that began the run, wherever its workers are."""
    monkeypatch.delenv("LATENTBENCH_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    names = {"known_methods": registry.names(), "known_domains": base.names(), "methods": ["noop"]}
    settings = load_settings(domain="ffhq", overrides={"weights.folder": "mine"}, **names)  # type: ignore[arg-type]
    assert settings.sources.downloads.folder == str(tmp_path / "mine")
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", "theirs")
    there = load_settings(domain="ffhq", overrides={"weights.folder": "mine"}, **names)  # type: ignore[arg-type]
    assert there.sources.downloads.folder == str(tmp_path / "theirs")
    monkeypatch.delenv("LATENTBENCH_WEIGHTS")
    lay_out(tmp_path / "mine")
    assert base.describe("ffhq", settings.sources).resolution == 1024


def test_the_doctor_asks_for_these_files_only_where_they_are_wanted(folder: Path, tmp_path: Path) -> None:
    def found(**asked: str) -> dict[str, tuple[str, str]]:
        return {finding.subject: (finding.state, finding.message) for finding in diagnose(machine(), tmp_path, **asked)}

    assert found()["domain ffhq"][0] == GOOD and "doctor --domain ffhq" in found()["domain ffhq"][1]
    asked = found(usual="ffhq")
    assert asked["domain ffhq"][0] == asked["weights ffhq scorer_a"][0] == BAD
    lay_out(folder)
    asked = found(domain="ffhq")
    assert asked["domain ffhq"][0] == asked["weights ffhq lpips alexnet"][0] == WARNING
    assert asked["weights ffhq generator"][0] == asked["weights ffhq scorer_b"][0] == GOOD
    assert "weights ffhq generator ffhq-1024" not in asked, "the checkpoint is not needed once it is imported"
    put(folder, "ffhq-1024", architecture={"resolution": 256, "z_dim": 256, "w_dim": 256})
    narrow = found(domain="ffhq")
    assert narrow["weights ffhq generator"][0] == BAD
    assert "found [256, 256]" in narrow["weights ffhq generator"][1]
    assert narrow["domain ffhq"] == (BAD, "lacks generator, as said above")
    put(folder, "ffhq-1024")
    with (folder / "ffhq-scorer-b.safetensors").open("ab") as file:
        file.write(b"!")
    assert found(domain="ffhq")["weights ffhq scorer_b"][0] == BAD
    assert files.look(load_sources("ffhq"))["recognizer_a"].state != MISSING
