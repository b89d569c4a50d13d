"""Every metric and every method shows in its file how it is used, by an example that pytest runs."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from pipeline.methods import registry as methods
from pipeline.metrics import base as metrics

MODULES = sorted({home.partition(":")[0] for home in (*methods.BUILT_IN.values(), *metrics.BUILT_IN.values())})


def test_there_are_files_to_look_at() -> None:
    assert {"pipeline.methods.sefa", "pipeline.metrics.kid"} < set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_its_file_has_an_example_with_an_answer(module: str) -> None:
    examples = doctest.DocTestFinder().find(import_module(module), module)
    assert any(example.want for test in examples for example in test.examples)
