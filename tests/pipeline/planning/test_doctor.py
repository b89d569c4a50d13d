"""What the doctor finds, each with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.domains.synthface import domain
from pipeline.planning import doctor
from pipeline.planning.doctor import BAD, WARNING, Finding, constraints, diagnose
from tests.builders import experiments


def found(outputs: Path, **machine: str) -> dict[str, Finding]:
    return {finding.subject: finding for finding in diagnose(experiments.machine(**machine), outputs)}


def test_a_good_installation(tmp_path: Path) -> None:
    findings = found(tmp_path)
    assert all(finding.state != BAD for finding in findings.values())
    assert {"python", "packages", "settings", "device", "disk", "file locks", "weights synthface"} <= set(findings)
    assert not list(tmp_path.iterdir())


def test_another_version_than_tested_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "constraints", lambda: constraints() | {"numpy": "0.1"})
    assert found(tmp_path)["numpy"].state == WARNING
    assert "numpy==0.1" in found(tmp_path)["numpy"].message


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["not-a-package-of-anybody>=2", "numpy>=99"])
    findings = found(tmp_path)
    assert findings["not-a-package-of-anybody"].state == findings["numpy"].state == BAD


def test_damaged_and_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in domain.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "scorer_a.safetensors").open("ab") as file:
        file.write(b"!")
    (tmp_path / "scorer_b.safetensors").unlink()
    monkeypatch.setattr(domain, "FOLDER", tmp_path)
    findings = found(tmp_path)
    assert "sha256" in findings["weights synthface scorer_a"].message
    assert str(tmp_path / "scorer_b.safetensors") in findings["weights synthface scorer_b"].message
    assert findings["weights synthface scorer_a"].state == findings["weights synthface scorer_b"].state == BAD


def test_a_device_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    finding = found(tmp_path, device="cuda")["device"]
    assert finding.state == BAD and "--device cpu" in finding.message


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refused)
    finding = found(tmp_path)["file locks"]
    assert finding.state == BAD and "--outputs" in finding.message


def test_the_pins_are_complete() -> None:
    """Every direct requirement has a pin."""
    pins = constraints()
    assert {"torch", "luigi", "facenet-pytorch", "ruff", "hatchling"} <= set(pins)
    assert pins["facenet-pytorch"] == "2.5.3"
