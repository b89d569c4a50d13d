"""One run of the domain of px16 for all tests of this folder: copy it before damaging it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.domains import base
from tests.builders.trained_runs import publish_run
from tests.worlds import px16
from tests.worlds.px16 import scene_settings


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the published run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
        return publish_run(scene_settings(tmp_path_factory.mktemp("scenes")))


@pytest.fixture(autouse=True)
def scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry knows the domain while a test runs."""
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")
