"""Weight files of other people: folder, servers, and the files that a domain uses."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.settings.file import Section, find_config, read_config
from pipeline.settings.keys import declared, key, number, read_keys, text, whole
from pipeline.settings.paths import expanded

VARIABLE = "LATENTBENCH_WEIGHTS"  # names the folder before luigi.cfg does
WEIGHTS = "weights"  # section of luigi.cfg
OF_A_RUN = (
    "truncation_psi",
    "precision",
    "methods",
)  # keys of [domain.*] that belong to a run, not to the domain's files


def _url(section: Section, name: str) -> str:
    url = section.text(name)
    if url and not url.startswith(("http://", "https://")):
        raise section.fail(name, "a URL that starts with https:// or http://, or nothing")
    return url


@dataclass(frozen=True)
class Downloads:
    """How weight files of other people come here. Nothing here is part of a fingerprint."""

    folder: str = text(
        WEIGHTS,
        "Where they lie. $LATENTBENCH_WEIGHTS goes before it; empty: $XDG_CACHE_HOME/latentbench/weights, else "
        "~/.cache/latentbench/weights.",
        default="",
    )
    mirror: str = key(
        WEIGHTS,
        _url,
        "A server of your own that has the files under their published names, such as https://mirror.example/weights; "
        "empty: the publishers.",
        default="",
    )
    proxy: str = key(
        WEIGHTS,
        _url,
        "An HTTP proxy, such as http://proxy.example:3128; empty: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.",
        default="",
    )
    retries: int = whole(WEIGHTS, "Attempts that follow a failed one.", 0, 1000, default=5)
    timeout: float = number(
        WEIGHTS, "Seconds without a byte after which an attempt counts as failed.", 0.1, 3600, default=30.0
    )
    pause: float = number(
        WEIGHTS,
        "Seconds before the first further attempt, doubled for each later one up to 60.",
        0.0,
        3600,
        default=1.0,
    )
    lock_wait: float = number(
        WEIGHTS, "Seconds to wait for another process that is fetching the same file.", 0, 10**7, default=86400.0
    )


@dataclass(frozen=True)
class Sources:
    """Where a domain's files are: [weights], and which files [domain.NAME] names. Travels with a run to its workers.

    `files` are pairs of a key and a name. Nothing here is part of a fingerprint: what the files hold is.
    """

    downloads: Downloads = Downloads()
    files: tuple[tuple[str, str], ...] = ()


def load_downloads(path: Path | None = None) -> Downloads:
    """[weights] of the settings file; a key that is missing has its default. Raises ConfigError, UnknownNameError."""
    path = path or find_config()
    return read_downloads(Section(read_config(path), WEIGHTS, path))


def read_downloads(section: Section) -> Downloads:
    """[weights], checked; a relative folder is one below this process's. Raises ConfigError, UnknownNameError."""
    section.refuse_others(declared(Downloads))
    downloads = read_keys(Downloads, {WEIGHTS: section})
    return replace(downloads, folder=str(expanded(downloads.folder).absolute())) if downloads.folder else downloads


def load_sources(domain: str, path: Path | None = None) -> Sources:
    """What the settings file says of a domain's files. Raises ConfigError, UnknownNameError."""
    path = path or find_config()
    parser = read_config(path)
    return read_sources(Section(parser, WEIGHTS, path), Section(parser, f"domain.{domain}", path))


def read_sources(weights: Section, of_domain: Section) -> Sources:
    """[weights], and the files of [domain.NAME], of which the domain knows the keys. Raises ConfigError."""
    keys = [name for name in of_domain.values if name not in OF_A_RUN]
    files = tuple((name, of_domain.some_text(name, "the name of a file")) for name in keys)
    downloads = read_downloads(weights)
    if os.environ.get(VARIABLE):  # of this process: workers on other machines may have none
        downloads = replace(downloads, folder=str(expanded(os.environ[VARIABLE]).absolute()))
    return Sources(downloads, files)
