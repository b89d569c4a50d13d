"""The import path that the tutorial taught first goes on working, with a warning that names the new one."""

from __future__ import annotations

import pytest

import latentbench
from pipeline.methods import base, interface


@pytest.mark.parametrize("name", base.PUBLIC)
def test_the_old_path_gives_the_same_class_and_names_the_new_one(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"`from latentbench import {name}`") as caught:
        old = getattr(base, name)
    assert old is getattr(interface, name) is getattr(latentbench, name)
    assert caught[0].filename == __file__, "the warning shows the line that imports"


def test_a_plugin_of_the_old_path_is_a_method() -> None:
    with pytest.warns(DeprecationWarning):
        from pipeline.methods.base import FitData, Method, Paper
    assert (FitData, Method, Paper) == (latentbench.FitData, latentbench.Method, latentbench.Paper)


def test_a_name_that_was_never_there() -> None:
    with pytest.raises(AttributeError, match="'Methode'.*Method"):
        _ = base.Methode
