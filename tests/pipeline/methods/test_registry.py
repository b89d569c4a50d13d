"""Methods of other packages: one that is broken is told as such, and costs nobody the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, LatentbenchError, UnknownNameError
from pipeline.methods import masking, registry
from pipeline.methods.interface import Method
from tests.worlds import toy

GOOD = """
from pipeline.methods.controls import NoOp
class Mine(NoOp):
    name = "mine"
    def __init__(self, *, size: int = 1) -> None:
        if size > 1:
            raise RuntimeError("too large")
        self.size = size
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a package on the path whose entry points are this text, or these bytes, and whose module has this code."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(package: str, entries: str | bytes, code: str = GOOD) -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        text = entries if isinstance(entries, bytes) else f"[latentbench.methods]\n{entries}\n".encode()
        (info / "entry_points.txt").write_bytes(text)
        (tmp_path / f"{package}.py").write_text(code)

    return put


def test_a_plug_in_is_a_method(install: Callable[..., None]) -> None:
    install("sound", "mine = sound:Mine")
    assert "mine" in registry.names() and issubclass(registry.get("mine"), Method)
    assert registry.broken() == {}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("raise SystemExit(7)", "SystemExit: 7"),
        ("x = 1", "AttributeError"),
        ("class Mine: pass", "expected a subclass"),
        ("from pipeline.methods.interface import Method\nclass Mine(Method): pass", "lacks name, version, paper"),
    ],
)
def test_a_broken_plug_in_is_told_and_the_others_stay(install: Callable[..., None], code: str, told: str) -> None:
    package = f"broken{abs(hash(code))}"
    install(package, f"mine = {package}:Mine", code)
    with pytest.raises(LatentbenchError, match="'mine'") as caught:
        registry.get("mine")
    assert told in str(caught.value)
    assert set(registry.broken()) == {"mine"} and told in registry.broken()["mine"]
    assert set(registry.BUILT_IN) < set(registry.names())


@pytest.mark.parametrize("entries", [b"\xff\xfe\0bad", b"[latentbench.methods]\nno equals sign\n"])
def test_a_list_that_cannot_be_read_stops_nobody(install: Callable[..., None], entries: bytes) -> None:
    install("damaged", entries)
    install("fine", "mine = fine:Mine")
    assert registry.names() == (*registry.BUILT_IN, "mine")
    assert list(registry.broken()) == ["damaged"] and "entry_points.txt" in registry.broken()["damaged"]


@pytest.mark.parametrize("name", ["../../../escape", "a b", ".hidden", "x" * 65])
def test_a_name_that_is_a_path_is_no_method(install: Callable[..., None], name: str) -> None:
    install("hostile", f"{name} = hostile:Mine")
    assert name not in registry.names()
    assert repr(name) in registry.broken()
    with pytest.raises(UnknownNameError):
        registry.get(name)


def test_a_constructor_that_raises_is_told_with_its_section(install: Callable[..., None]) -> None:
    install("raising", "mine = raising:Mine")
    with pytest.raises(LatentbenchError, match=r"my\.cfg: \[method\.mine\]: RuntimeError: too large"):
        registry.build("mine", {"size": 2}, "my.cfg")


def test_what_is_wrong_names_the_file_that_said_it() -> None:
    for method, key, value in (
        ("sefa", "directions", 0),
        ("latentclr", "model", "cubic"),
        ("sefa", "layer_mask", "no"),
    ):
        with pytest.raises(LatentbenchError, match=rf"^my\.cfg: \[method\.{method}\] {key}: expected"):
            registry.build(method, {key: value}, "my.cfg")


def test_methods_that_are_asked_for_facts_are_built_once() -> None:
    first = registry.unfitted("l2l", {"layers": 1})
    assert registry.unfitted("l2l", {"layers": 1}) is first
    assert registry.unfitted("l2l", {"layers": 2}).parameters()["layers"] == 2
    with pytest.raises(ConfigError, match="layers"):
        registry.unfitted("l2l", {"layers": True})  # equal to 1, and no number of layers


@pytest.mark.parametrize("mask", [masking.NONE, masking.STYLEFLOW])
def test_a_loaded_method_has_the_mask_of_its_settings(mask: str, tmp_path: Path) -> None:
    parameters = {masking.SETTING: mask}
    method = registry.build("random", parameters)
    method.fit(toy.fit_data(8))
    method.save(tmp_path)
    assert registry.load("random", tmp_path, parameters).parameters() == method.parameters()
