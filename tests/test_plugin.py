"""The package of the tutorial, installed for real, keeps the contract and runs through the whole chain."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.methods import contract

ROOT = Path(__file__).parents[1]
CARELESS = '''

class Careless(LeastSquares):
    """Edits its input, and forgets what it learned."""

    name = "careless"

    def edit(self, ws, strengths, values):
        return ws.add_((strengths @ self.directions_)[:, None])

    def restore(self, state, facts):
        self.directions_ = state["directions"] * 2
'''
# The command line on the small domain of tests/worlds/px16.py.
SCRIPT = """
import json, sys
from typer.testing import CliRunner
from pipeline.domains import base
from tasks.cli import app
base.MODULES["scenes"] = "tests.worlds.px16"
results = [CliRunner().invoke(app, arguments) for arguments in json.loads(sys.argv[1])]
print()
print(json.dumps([[result.exit_code, result.output] for result in results]))
"""
SIZES = {"n_latents": 256, "n_faces": 3, "n_steps": 3, "n_reference": 32, "n_timings": 1, "n_naming_codes": 16}
SIZES |= {"n_spread": 32, "n_matched_faces": 2}
CHECK = ["methods", "check", "--domain", "scenes", "--latents", "64"]


def block(language: str) -> str:
    """The first code block of that language in the page."""
    found = re.search(rf"```{language}\n(.*?)```", (ROOT / "docs/tutorial/own-method.md").read_text(), re.S)
    assert found is not None
    return found.group(1)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for sys.path into which pip installed the package, with a second, careless method."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    package = source / "latentbench_least_squares"
    package.mkdir()
    (package / "__init__.py").write_text(block("python") + CARELESS)
    (source / "pyproject.toml").write_text(block("toml") + 'careless = "latentbench_least_squares:Careless"\n')
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def said(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and output of each verb, all in one process that has the package on its path."""
    outputs = tmp_path_factory.mktemp("outputs")
    config = outputs / "luigi.cfg"
    config.write_text((ROOT / "luigi.cfg").read_text() + "\n[domain.scenes]\ntruncation_psi = 0.7\n")
    run = ["run", "--domain", "scenes", "--profile", "smoke", "--outputs", str(outputs), "--executor", "inline"]
    run += ["-m", "least_squares", "-m", "interfacegan_z", "-a", "age", "-a", "yaw"]
    for key, value in SIZES.items():
        run += ["--set", f"profile.smoke.{key}={value}"]
    verbs = {
        "list": ["methods", "--json"],
        "check": [*CHECK, "least_squares"],
        "careless": [*CHECK, "--json", "careless"],
        "run": [*run, "--set", "protocol.bootstrap_samples=10"],
    }
    environment = {**os.environ, "PYTHONPATH": str(installed), "LUIGI_CONFIG_PATH": str(config), "COLUMNS": "200"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(list(verbs.values()))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [(code, output) for code, output in json.loads(done.stdout.splitlines()[-1])]
    return {**dict(zip(verbs, results, strict=True)), "outputs": (0, str(outputs))}


def test_an_installed_method_is_listed(said: dict[str, tuple[int, str]]) -> None:
    code, output = said["list"]
    assert code == 0
    row = next(row for row in json.loads(output) if row["method"] == "least_squares")
    assert row["unit of strength"] == "length in W" and row["learns from"] == "labels"


def test_it_keeps_the_contract(said: dict[str, tuple[int, str]]) -> None:
    code, output = said["check"]
    assert code == 0, output
    assert f"least_squares keeps all {len(contract.CHECKS)} promises." in output
    assert all(check.replace("_", " ") in output for check in contract.CHECKS)


def test_a_careless_method_is_told_what_is_wrong(said: dict[str, tuple[int, str]]) -> None:
    code, output = said["careless"]
    assert code == 1
    rows = json.loads(output[output.index("[") : output.rindex("]") + 1])
    wrong = {row["check"]: row["what is wrong"] for row in rows if not row["kept"]}
    assert set(wrong) == {"zero changes nothing", "inputs are not modified", "save and load agree"}
    assert "input ws" in wrong["inputs are not modified"] and "state()" in wrong["save and load agree"]


def test_it_runs_through_the_chain(said: dict[str, tuple[int, str]]) -> None:
    code, output = said["run"]
    assert code == 0, output
    report = Path(said["outputs"][1]) / "latest"
    scores, edits, ranges = (pq.read_table(report / f"{name}.parquet") for name in ("scores", "edits", "ranges"))
    for method in ("least_squares", "interfacegan_z"):
        assert method in scores["method"].to_pylist()
        rows = [row for row in edits.to_pylist() if row["method"] == method]
        assert len(rows) == 2 * SIZES["n_faces"] * SIZES["n_steps"]
        assert max(row["displacement"] for row in rows) > 0.01, "the tables carry how far each edit moved"
    assert dict(zip(ranges["method"].to_pylist(), ranges["unit"].to_pylist(), strict=True)) == {
        "least_squares": "length in W",
        "interfacegan_z": "length in Z, where codes have length sqrt(512)",
    }
    assert "least_squares" in (report / "report.html").read_text()
