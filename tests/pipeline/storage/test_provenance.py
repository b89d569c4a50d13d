"""Where a number comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.storage import provenance
from pipeline.storage.provenance import code_commit, code_digest, digest_of, machine_facts, package_versions
from tests.builders import experiments

ROOT = Path(__file__).parents[3]


def test_versions_are_those_installed() -> None:
    versions = package_versions()
    assert {"python", "numpy", "pyarrow", "torch"} <= set(versions)
    assert versions["python"].count(".") == 2


def commit_of(package: Path) -> str:
    """What the code in a folder says of itself, in a process of its own."""
    code = "from pipeline.storage.provenance import code_commit; print(code_commit())"
    done = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_that_of_the_checkout_and_tells_of_changes(tmp_path: Path) -> None:
    code = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=code)
    git(tmp_path, "init", "-q")
    installed = commit_of(tmp_path)
    assert installed == "unknown" or installed.startswith("release "), "a checkout that does not track us is not ours"
    git(tmp_path, "add", "pipeline")
    git(tmp_path, "commit", "-q", "-m", "all")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert commit_of(tmp_path) == commit
    (tmp_path / "pipeline" / "errors.py").open("a").write("# changed\n")
    assert commit_of(tmp_path) == f"{commit}+changes"


def test_the_digest_of_the_code_tells_of_every_change(tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return digest_of(tmp_path)

    first = write("pipeline/chain/labels.py", "values[batch] = values[batch]\n")
    assert write("pipeline/notes.txt", "nothing that computes") == first
    assert write("outputs/stages/a.json", "{}") == first
    second = write("pipeline/chain/labels.py", "values[batch] = 1 - values[batch]\n")
    third = write("stylegan/card.json", "{}")
    assert len({first, second, third}) == 3
    (tmp_path / "stylegan/card.json").rename(tmp_path / "stylegan/other.json")
    assert digest_of(tmp_path) != third, "a name counts too"
    assert code_digest() == digest_of(ROOT)


def test_the_machine_is_described() -> None:
    facts = machine_facts(experiments.machine(workers=3))
    assert facts["cores"] >= 1 and facts["workers"] == 3 and facts["processor"] and facts["memory_gib"] > 0
    assert code_commit() and provenance.PACKAGES == tuple(sorted(provenance.PACKAGES))


def test_asking_git_writes_nothing_into_the_checkout(tmp_path: Path) -> None:
    """A process that is killed while git refreshes its index leaves a lock behind, and no commit is possible."""
    file = tmp_path / "file.txt"
    file.write_text("text")
    name = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*name, "commit", "-qm", "first")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    os.utime(file, (1, 1))  # as good as new, but git would note the time in its index
    before = (tmp_path / ".git" / "index").read_bytes()
    assert provenance._git(tmp_path, "status", "--porcelain") == ""
    assert (tmp_path / ".git" / "index").read_bytes() == before
    subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, check=True)
    assert (tmp_path / ".git" / "index").read_bytes() != before, "plain git would have written"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 03:07:00 UTC 2025", "570.124.06"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.48.01  Release Build", "590.48.01"),
        ("something else", ""),
    ],
)
def test_the_driver_has_a_version(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "version"
    assert provenance._driver(path) == ""
    path.write_text(f"{line}\nGCC version:  gcc version 12.2.0\n")
    assert provenance._driver(path) == expected
