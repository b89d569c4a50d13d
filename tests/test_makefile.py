"""The commands of the Makefile, as a dry run prints them."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands(*arguments: str, folder: Path) -> list[str]:
    """What make would run with a virtual environment that is not there yet."""
    command = ["make", "--dry-run", *arguments, f"VENV={folder / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "pip install" in line]


def test_torch_comes_from_pypi_with_everything_else(tmp_path: Path) -> None:
    (install,) = commands("bench", folder=tmp_path)
    assert install.endswith("-c constraints.txt -e '.[dev]'")


def test_torch_cpu_comes_first_alone_and_from_the_index_that_is_named(tmp_path: Path) -> None:
    first, rest = commands("bench", "TORCH=cpu", "TORCH_INDEX=file:///wheels", folder=tmp_path)
    assert first.endswith("-c constraints.txt --no-deps --index-url file:///wheels torch torchvision")
    assert rest.endswith("-c constraints.txt -e '.[dev]'")
    assert commands("bench", "TORCH=cpu", folder=tmp_path)[0].endswith("/cpu torch torchvision")


def test_the_site_needs_an_extra_of_its_own(tmp_path: Path) -> None:
    assert [line.split()[-1] for line in commands("docs", folder=tmp_path)] == ["'.[dev]'", "'.[docs]'"]


def test_an_audit_asks_the_usual_database_or_the_mirror_that_is_named(tmp_path: Path) -> None:
    assert commands("audit", folder=tmp_path)[-1].endswith("-e '.[audit]'")
    for arguments, expected in (((), False), (("OSV=http://127.0.0.1:9/v1",), True)):
        command = ["make", "--dry-run", "audit", *arguments, f"VENV={tmp_path / 'venv'}"]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "pip_audit -r constraints.txt --no-deps --disable-pip --strict" in shown, "none is passed over"
        assert ('--vulnerability-service osv --osv-url "http://127.0.0.1:9/v1"' in shown) == expected


def test_an_audit_without_a_network_says_that_nothing_was_looked_up(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    for name in (".installed",):
        (tmp_path / "venv" / name).touch()
    python = tmp_path / "venv" / "bin" / "python"
    python.write_text('#!/bin/sh\ncase "$*" in *pip_audit*) echo "ERROR: connection refused"; exit 1;; esac\n')
    python.chmod(0o755)
    command = ["make", "audit", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "connection refused" in done.stdout
    assert "nothing was looked up" in done.stdout and "OSV=URL" in done.stdout
