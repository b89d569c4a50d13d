"""What no test may leave behind for those after it, whichever they are: pytest-xdist decides that anew each time."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pipeline.domains import base as domains
from pipeline.methods import registry as methods


@pytest.fixture(autouse=True)
def registries_as_found() -> Iterator[None]:
    """Domains, methods and the working folder are after a test what they were before it."""
    before = dict(domains.MODULES), dict(methods.BUILT_IN), os.getcwd()
    yield
    assert (domains.MODULES, methods.BUILT_IN, os.getcwd()) == before, "use monkeypatch, which puts it back"
