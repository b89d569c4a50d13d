"""A wheel works outside the checkout: settings, weights and templates go along."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.domains import base as domains
from pipeline.domains.synthface.domain import ROLES
from pipeline.settings.paths import documents

ROOT = Path(__file__).parents[1]
PACKAGES = ("stylegan", "pipeline", "tasks", "latentbench")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("latentbench-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_what_goes_along(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"pipeline/luigi.cfg", "pipeline/constraints.txt"} <= names
    assert {"pipeline/report/page.html.j2", "pipeline/report/sections/tables.html.j2"} <= set(names)
    for role in ROLES:
        assert f"pipeline/domains/synthface/weights/{role}.safetensors" in names
        assert f"pipeline/domains/synthface/weights/{role}.json" in names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names, "type checkers read our types"
    assert {Path(name).name for name in names if ".dist-info/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert not any(name.startswith(("tests/", "outputs/", "benchmarks/")) for name in names)
    assert not any("__pycache__" in name for name in names)


def test_nothing_is_left_behind(wheel: Path) -> None:
    """Every file of our packages that git would track is in the wheel."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    tracked = {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}
    assert tracked <= set(zipfile.ZipFile(wheel).namelist())


def test_every_page_that_the_code_names_goes_along(wheel: Path) -> None:
    """Help and errors name pages as docs/NAME.md; an installation has them without their pictures."""
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    named = {page for path in sources for page in re.findall(r"\bdocs/([a-z/-]+\.md)\b", path.read_text())}
    assert len(named) > 5
    names = [name for name in zipfile.ZipFile(wheel).namelist() if "docs/" in name]
    assert named <= {name.removeprefix("latentbench/docs/") for name in names}
    assert all(name.startswith("latentbench/docs/") and name.endswith(".md") for name in names)


def test_help_says_where_the_pages_lie(installed: Path, tmp_path: Path) -> None:
    code = "from pipeline.settings.paths import documents; print(documents())"
    assert python(installed, tmp_path, code).strip() == str(installed / "latentbench" / "docs")
    assert documents() == ROOT / "docs"
    assert "docs/... lie in" in verb(installed, tmp_path, "--help")


def test_entry_points(installed: Path) -> None:
    (info,) = installed.glob("latentbench-*.dist-info")
    assert "latentbench = tasks.console:main" in (info / "entry_points.txt").read_text()
    metadata = (info / "METADATA").read_text()
    assert "Requires-Dist: facenet-pytorch" in metadata and "Requires-Python: >=3.11" in metadata
    assert "License-Expression: Apache-2.0" in metadata


def test_the_public_face_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    said = python(installed, tmp_path, "import latentbench; print(latentbench.__file__, *latentbench.methods())")
    assert said.split()[:2] == [str(installed / "latentbench" / "__init__.py"), "interfacegan"]


def python(installed: Path, folder: Path, code: str, *arguments: str) -> str:
    """What code prints that runs on the unpacked wheel, in another folder."""
    environment = {key: value for key, value in os.environ.items() if key != "LUIGI_CONFIG_PATH"}
    environment["PYTHONPATH"] = str(installed)
    apart = f"import sys; sys.path = [p for p in sys.path if p != {str(ROOT)!r}]"
    command = [sys.executable, "-P", "-c", f"{apart}; {code}", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_index_names_every_page() -> None:
    links = set(re.findall(r"\]\(([^)#]+)", (ROOT / "docs" / "index.md").read_text()))
    assert {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")} - {"index.md"} <= links
    assert not [link for link in links if not (ROOT / "docs" / link).exists()]


def verb(installed: Path, folder: Path, *arguments: str) -> str:
    """What a verb of the unpacked wheel prints, in another folder."""
    return python(installed, folder, "from tasks.cli import main; main()", *arguments)


def test_domains_and_plan_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    card, *others = json.loads(verb(installed, tmp_path, "domains", "--json"))
    assert card["domain"] == "synthface" and card["networks"] == len(domains.describe("synthface").weights)
    assert [other["domain"] for other in others] == ["ffhq", "photoface"]
    assert all(other["summary"] for other in others), "with their files or without"
    plan = json.loads(verb(installed, tmp_path, "plan", "--profile", "smoke", "--json"))
    assert plan["profile"] == "smoke"
    assert all(Path(stage["folder"]).parts[:2] == ("outputs", "stages") for stage in plan["stages"])
    assert not list(tmp_path.iterdir())
