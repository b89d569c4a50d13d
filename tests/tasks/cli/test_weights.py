"""`latentbench weights` and `doctor --domain`, with a server on the loopback as mirror."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.weights.records import RECORDS
from pipeline.weights.table import groups, read_table
from tasks.cli import app
from tests.builders.http_server import Server, Turn, serving
from tests.builders.weight_store import CONTENT, OTHER

ROOT = Path(__file__).parents[3]
NAMES = list(read_table())
FFHQ = [weight.name for weight in groups(read_table())["ffhq"]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LUIGI_CONFIG_PATH", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.files = {f"/{weight.file}": CONTENT for weight in read_table().values()}
        yield server


def weights(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["weights", *(str(argument) for argument in arguments)])


def states() -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(weights("list", "--json").stdout)}


def test_list_on_a_machine_without_weights(folder: Path) -> None:
    shown = weights("list")
    assert shown.exit_code == 0 and str(folder) in shown.stdout
    for weight in read_table().values():
        assert all(text in shown.stdout for text in (weight.name, weight.file, weight.used_by, weight.licence))
    assert states() == dict.fromkeys(NAMES, "missing")
    assert not folder.exists()


def test_fetch_from_a_mirror_then_verify(folder: Path, server: Server) -> None:
    done = weights("fetch", "inception", "vggface2", "--mirror", server.url)
    assert done.exit_code == 0, done.output
    assert "inception: fetched, 3.0 MB, sha256 " in done.stdout
    assert states() == dict.fromkeys(NAMES, "missing") | {"inception": "present", "vggface2": "present"}
    assert weights("verify", "inception", "vggface2").exit_code == 0
    missing = weights("verify")
    assert missing.exit_code == 1 and "Weights missing: ffhq-1024" in missing.stderr
    (folder / "inception-2015-12-05.pt").write_bytes(OTHER)
    assert states()["inception"] == "unverified"
    wrong = weights("verify", "inception", "--json")
    assert wrong.exit_code == 1 and json.loads(wrong.stdout)[0]["state"] == "wrong"
    assert "was recorded on" in wrong.stderr and RECORDS in wrong.stderr


def test_one_that_fails_does_not_stop_the_others(folder: Path, server: Server) -> None:
    """The mirror has wrong bytes for the two whose hash is published, and 404 for one."""
    server.turns["/20180408-102900-casia-webface.pt"] = [Turn(status=404)]
    done = weights("fetch", "ffhq", "--mirror", server.url)
    assert done.exit_code == 1 and "3 could not be had" in done.stderr
    assert "381,624,121" in done.stderr and "starts with 7be5be79" in done.stderr and "404" in done.stderr
    missing = [name for name, state in states().items() if state == "missing" and name in FFHQ]
    assert missing == ["ffhq-1024", "alexnet", "casia-webface"]


def test_a_domain_stands_for_all_its_files(folder: Path, tmp_path: Path) -> None:
    photoface = groups(read_table())["photoface"]
    (tmp_path / "stick").mkdir()
    done = weights("fetch", "photoface", "--from", tmp_path / "stick")
    assert done.exit_code == 1 and f"{len(photoface)} could not be had" in done.stderr
    for weight in photoface:
        assert weight.archive and f"expected {weight.file} or {weight.archive.file} in" in done.stderr
    verified = weights("verify", "photoface", "--json")
    rows = {row["name"]: row for row in json.loads(verified.stdout)}
    assert verified.exit_code == 1 and list(rows) == [weight.name for weight in photoface]
    row = rows["human-emotion-bin"]
    assert (row["archive"], row["member"]) == ("vladmandic-human-3.3.6.tgz", "package/models/emotion.bin")
    assert f"photoface: {len(photoface)} files, 98.8 MB; 0 present" in weights("list").stdout


def test_fetch_from_a_folder(folder: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "20180402-114759-vggface2.pt").write_bytes(CONTENT)
    done = weights("fetch", "vggface2", "--from", stick)
    assert done.exit_code == 0 and "vggface2: copied" in done.stdout
    assert "vggface2: was there" in weights("fetch", "vggface2", "--from", stick).stdout
    absent = weights("fetch", "inception", "--from", stick)
    assert absent.exit_code == 1 and "expected inception-2015-12-05.pt in" in absent.stderr


def test_the_mirror_of_luigi_cfg(folder: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text((ROOT / "luigi.cfg").read_text().replace("\nmirror =\n", f"\nmirror = {server.url}\n"))
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(path))
    assert weights("fetch", "ffhq-256").exit_code == 0
    assert [asked.path for asked in server.asked] == ["/ffhq-res256-mirror-paper256-noaug.pkl"]


def test_what_is_asked_wrongly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (("fetch",), ("fetch", "--all", "inception")):
        refused = weights(*arguments)
        assert refused.exit_code == 2 and "names of files or groups, or --all" in refused.stderr
    assert "Did you mean 'photoface'" in weights("fetch", "foto-face").stderr
    assert "Did you mean 'alexnet'" in weights("fetch", "alexnets").stderr
    assert weights("fetch", "alexnet", "--mirror", "ftp://x").exit_code == 2
    monkeypatch.setenv("LATENTBENCH_WEIGHTS", str(ROOT / "outputs"))
    refused = weights("list")
    assert refused.exit_code == 2 and "outside of the code" in refused.stderr


def test_doctor_tells_what_the_ffhq_domain_needs(folder: Path, server: Server) -> None:
    doctor = CliRunner().invoke(app, ["doctor", "--domain", "ffhq"])
    assert doctor.exit_code == 1 and "weights synthface" not in doctor.stdout
    for weight in groups(read_table())["ffhq"]:
        assert weight.url in doctor.stdout and str(folder / weight.file) in doctor.stdout
    assert "381,624,121 bytes" in doctor.stdout
    assert "latentbench scorer train --from ffhq" in doctor.stdout and "latentbench weights import" in doctor.stdout
    weights("fetch", "ffhq-256", "--mirror", server.url)
    doctor = CliRunner().invoke(app, ["doctor", "--domain", "ffhq"])
    assert "good    weights ffhq generator ffhq-256" in doctor.stdout
    assert "weights ffhq generator ffhq-1024" not in doctor.stdout, "one checkpoint is enough to import"
    assert "bad     weights ffhq generator: missing" in doctor.stdout, "but it is not imported yet"
    wrong = CliRunner().invoke(app, ["doctor", "--domain", "ffq"])
    assert wrong.exit_code == 2 and "Did you mean 'ffhq'" in wrong.stderr
