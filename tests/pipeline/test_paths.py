"""Paths that people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.paths import expanded, is_bare_name


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert expanded("~/results") == Path("/home/anna/results")
    assert expanded(Path("~")) == Path("/home/anna")
    assert expanded("out-12:30") == Path("out-12:30"), "what has no tilde stays as it is"
    assert expanded("a/~b") == Path("a/~b")


def test_an_unknown_home_is_told() -> None:
    with pytest.raises(ConfigError, match="Write the whole path"):
        expanded("~nobody-of-that-name/x")


def test_a_name_that_leads_elsewhere_is_no_name() -> None:
    assert is_bare_name("scores-all.parquet") and is_bare_name("..a")
    for name in ("", ".", "..", "../a", "/a", "a/b", "a\0b", 3, None):
        assert not is_bare_name(name)
