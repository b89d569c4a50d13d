"""Direction files in settings: `file:NAME=PATH`, [method.file.NAME], and what a stage knows a file by."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

import latentbench
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.settings.comments import declared_keys
from pipeline.settings.direction_files import DIGEST, SECTION, DirectionKeys, digest_of, files_at
from pipeline.settings.keys import KEY, declared
from pipeline.settings.settings import Settings, load_settings
from tasks.base import RunTask
from tasks.cli.options import request

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "luigi.cfg").read_text()
EXAMPLE = re.search(r"(?:^# .*\n)+# \[method\.file\.mine\]\n(?:^#.*\n)+", TEXT, re.M)


def load(path: Path = ROOT / "luigi.cfg", **arguments: Any) -> Settings:
    return load_settings(known_methods=("sefa", "noop"), known_domains=("synthface",), path=path, **arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of two attributes; what they hold is not looked at here."""
    (tmp_path / "vectors").mkdir()
    for name in ("age", "pose"):
        (tmp_path / f"vectors/{name}.npy").write_text(name)
    return tmp_path / "vectors"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """luigi.cfg without the sections of methods and domains that `load` does not know."""
    kept = re.sub(r"(?ms)^\[(method\.(?!sefa|noop)|domain\.(?!synthface)).*?(?=^\[|\Z)", "", TEXT)
    path = tmp_path / "luigi.cfg"
    path.write_text(re.sub(r"^\w+\.\w+ = .*\n", "", kept, flags=re.M))
    return path


def test_a_file_is_a_method_of_its_name(folder: Path, config: Path) -> None:
    settings = load(config, methods=["sefa", f"file:mine={folder}"])
    assert settings.method_names == ("sefa", "mine")
    found = settings.method_parameters("mine")
    assert found["path"] == str(folder) and found["layers"] == "all" and found["normalise"] is False
    assert "path" not in settings.as_json()["methods"]["mine"] and DIGEST in settings.as_json()["methods"]["mine"]
    assert "command line" in settings.source_of("mine") and "command line" not in settings.source_of("sefa")


def test_a_relative_path_becomes_absolute(folder: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert load(config, methods=["file:mine=vectors"]).method_parameters("mine")["path"] == str(folder)
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load(config, methods=["file:mine=~/vectors"]).method_parameters("mine")["path"] == str(folder)


def test_settings_of_a_file_are_changed_like_others(folder: Path, config: Path) -> None:
    changes = {"method.file.mine.layers": "0-7", "method.file.mine.normalise": "True"}
    found = load(config, methods=[f"file:mine={folder}"], overrides=changes).method_parameters("mine")
    assert (found["layers"], found["normalise"]) == ("0-7", True)
    with pytest.raises(UnknownNameError, match="Did you mean 'layers'"):
        load(config, methods=[f"file:mine={folder}"], overrides={"method.file.mine.layer": "0"})
    with pytest.raises(ConfigError, match=r"command line: \[method.file.mine\] normalise"):
        load(config, methods=[f"file:mine={folder}"], overrides={"method.file.mine.normalise": "1"})


def test_a_section_of_the_file_is_a_method(folder: Path, config: Path) -> None:
    config.write_text(f"{config.read_text()}\n[method.file.mine]\npath = {folder}\nnames = yaw: pose\n")
    for name in ("mine", "file:mine"):
        assert load(config, methods=[name]).method_parameters("mine")["names"] == "yaw: pose"
    elsewhere = load(config, methods=[f"file:mine={folder}/age.npy"]).method_parameters("mine")
    assert elsewhere["path"] == f"{folder}/age.npy" and elsewhere["names"] == "yaw: pose"
    assert "mine" not in load(config, methods=["sefa"]).method_names


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("file:sefa=x", "sefa is a method already"),
        ("file:a-b=x", "found 'a-b'"),
        ("file:../x=x", "found '../x'"),
        ("file:=x", "found ''"),
        ("file:mine=", "found no path"),
        ("file:mine=missing", "found .*missing: No such file"),
        ("file:mine", r"\[method.file.mine\] path: expected a folder"),
    ],
)
def test_what_is_no_name_or_path_is_refused(
    method: str, expected: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = UnknownNameError if method == "file:mine" else ConfigError
    with pytest.raises(error, match="file:mine|mine" if error is UnknownNameError else expected):
        load(config, methods=[method])


def test_a_name_has_one_path(folder: Path, config: Path) -> None:
    with pytest.raises(ConfigError, match="another name"):
        load(config, methods=[f"file:mine={folder}", f"file:mine={folder}/age.npy"])


def test_a_section_with_a_wrong_name_or_key_is_refused(folder: Path, config: Path) -> None:
    text = config.read_text()
    for section, error in (
        ("[method.file.noop]", ConfigError),
        ("[method.file.a.b]", ConfigError),
        ("[method.file.mine]\nlayer = 3", UnknownNameError),
    ):
        config.write_text(f"{text}\n{section}\npath = {folder}\n")
        with pytest.raises(error, match=r"method\.file\."):
            load(config, methods=["sefa"])


def test_a_path_with_a_comma_belongs_in_the_file() -> None:
    with pytest.raises(ConfigError, match=re.escape("[method.file.NAME] path")):
        request(methods=["file:mine=a,b"])


def test_the_digest_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    before = digest_of(files_at(str(folder), {}))
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "README").write_text("of no attribute")
    assert digest_of(files_at(str(moved), {})) == before
    assert digest_of(files_at(f"{moved}/{{attribute}}.npy", {})) == before
    assert digest_of(files_at(str(moved), {"yaw": "pose"})) != before
    (moved / "age.npy").write_text("other")
    assert digest_of(files_at(str(moved), {})) != before
    lone = moved / "age.npy"
    assert digest_of(files_at(str(lone), {})) == hashlib.sha256(lone.read_bytes()).hexdigest()


def test_one_file_for_an_attribute(folder: Path) -> None:
    (folder / "age.pt").write_text("")
    with pytest.raises(ConfigError, match=r"age\.npy and age\.pt for age"):
        files_at(str(folder), {})
    (folder / "age.pt").unlink()
    (folder / "age.npy").unlink()
    with pytest.raises(ConfigError, match=r"found pose\.npy"):
        files_at(str(folder), {})


@pytest.mark.parametrize("names", ["pose", "yaw:", "yaw: ../pose", "yaw: .", "yawn: pose", "roll: pose"])
def test_names_that_are_none_are_refused(names: str, folder: Path, config: Path) -> None:
    with pytest.raises(ConfigError, match=r"command line: \[method.file.mine\] names: "):
        load(config, methods=[f"file:mine={folder}"], overrides={"method.file.mine.names": names})


def test_the_example_of_luigi_cfg_has_every_key_with_its_comment(folder: Path, config: Path) -> None:
    assert EXAMPLE is not None
    lines = [re.sub(r"^(# ?)+", "", line) for line in EXAMPLE[0].splitlines()]
    words = " ".join(lines)
    for name, entry in declared(DirectionKeys).items():
        assert f"{name} = " in words and (name == "layer_mask" or entry.metadata[KEY].comment in words)
    section = "\n".join(line for line in lines if re.match(r"\[method|\w+ =", line))
    config.write_text(config.read_text() + "\n" + section.replace("~/directions", str(folder)))
    found = load(config, methods=["mine"]).method_parameters("mine")
    assert {name for name in declared(DirectionKeys)} <= set(found)
    assert declared_keys(SECTION.removesuffix(".")) == {}  # luigi.cfg has no such section, so no comments to write


def test_a_task_takes_it(folder: Path) -> None:
    task = RunTask(methods=f"noop,file:mine={folder}", attributes="age")
    assert task.settings.method_names == ("noop", "mine")


def test_a_session_sees_a_file_that_changed(folder: Path) -> None:
    before, again, after = (
        _parameters_after_writing(folder / "age.npy", text) for text in ("first", "first", "second")
    )
    assert before == again != after


def _parameters_after_writing(path: Path, text: str) -> dict[str, Any]:
    path.write_text(text)
    return latentbench.settings(methods=[f"file:mine={path}"], attributes=["age"]).method_parameters("mine")
