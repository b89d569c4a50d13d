"""Names of devices, and what people call them."""

from __future__ import annotations

import pytest

from pipeline.settings.devices import closest, is_device


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_have_names(name: str) -> None:
    assert is_device(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpu", "cuda"),
        ("GPU:0", "cuda"),
        ("nvidia", "cuda"),
        ("CPU", "cpu"),
        ("cud", "cuda"),
        ("cuda:-1", "cuda:0"),
        ("cuda:01", "cuda:0"),
        ("tpu", "cpu"),
        ("mps", ""),
        ("", ""),
    ],
)
def test_other_names_are_told_the_closest(name: str, meant: str) -> None:
    assert not is_device(name)
    assert closest(name) == (f" Did you mean {meant!r}?" if meant else "")
