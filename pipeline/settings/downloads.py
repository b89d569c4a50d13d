"""Weight files of other people: folder, servers, and the files that a domain uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings.file import Section, find_config, read_config
from pipeline.settings.keys import declared, key, number, read_keys, text, whole

WEIGHTS = "weights"  # section of luigi.cfg
OF_A_RUN = ("truncation_psi", "precision")  # keys of [domain.*] that belong to a run, not to the domain's files


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


def load_downloads(path: Path | None = None) -> Downloads:
    """[weights] of the settings file; a key that is missing has its default. Raises ConfigError, UnknownNameError."""
    path = path or find_config()
    section = Section(read_config(path), WEIGHTS, path)
    section.refuse_others(declared(Downloads))
    return read_keys(Downloads, {WEIGHTS: section})


def load_files(domain: str, default: Mapping[str, str], path: Path | None = None) -> dict[str, str]:
    """The domain's files by key, from [domain.NAME] of the settings file; a key that is missing has its default.

    Raises UnknownNameError for a key that `default` has not, ConfigError for an empty value.
    """
    path = path or find_config()
    section = Section(read_config(path), f"domain.{domain}", path)
    section.refuse_others((*default, *OF_A_RUN))
    files = {role: section.text(role, name) for role, name in default.items()}
    for role, name in files.items():
        if not name:
            raise section.fail(role, f"a name such as {default[role]}")
    return files
