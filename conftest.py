"""Fixtures of every test and of every example in a docstring: registries stay as they were, examples find a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.domains import base as domains
from pipeline.methods import registry as methods

ROOT = Path(__file__).parent
RUN_ID = "20261120T031500Z-1a2b3c4d"  # of the published run that examples read
RUNNING = "latentbench.running.run"


@pytest.fixture(autouse=True)
def registries_as_found() -> Iterator[None]:
    """Domains, methods and the working folder are after a test what they were before it."""
    before = dict(domains.MODULES), dict(methods.BUILT_IN), os.getcwd()
    yield
    assert (domains.MODULES, methods.BUILT_IN, os.getcwd()) == before, "use monkeypatch, which puts it back"


@pytest.fixture(autouse=True)
def _folder_of_examples(request: pytest.FixtureRequest) -> None:
    """Examples of latentbench run in a folder that has outputs/."""
    if request.node.name == RUNNING:
        request.getfixturevalue("_finished_stages")
    elif request.node.name.startswith("latentbench.published") or request.node.name == "read-results.md":
        request.getfixturevalue("_published_run")


@pytest.fixture
def _published_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has outputs/ with one published run, RUN_ID."""
    from tests.builders import random_run

    monkeypatch.chdir(tmp_path)
    random_run.publish_folder(tmp_path / "outputs", RUN_ID, random_run.tables(RUN_ID))


@pytest.fixture
def _finished_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has outputs/ with every stage of interfacegan and noop: a run has only to be published."""
    import latentbench
    from pipeline.report.charts import library
    from tests.builders import random_stages

    config = (ROOT / "luigi.cfg").read_text()
    for key, few in (("bootstrap_samples", 10), ("comparison_samples", 10)):
        config, count = re.subn(rf"^{key} = \d+", f"{key} = {few}", config, flags=re.M)
        assert count == 1, key
    (tmp_path / "luigi.cfg").write_text(config)
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(tmp_path / "luigi.cfg"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(domains.MODULES, "synthface", random_stages.__name__)
    monkeypatch.setattr(library, "library", str)  # it takes seconds to bundle
    random_stages.lay_down(latentbench.settings(profile="smoke", methods=["interfacegan", "noop"], outputs="outputs"))
