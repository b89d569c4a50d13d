"""Files of other people: where they lie, whence they come, and which ones a domain uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.settings.file import (
    Section,
    find_config,
    read_config,
)

OF_A_RUN = ("truncation_psi", "precision")  # keys of [domain.*] that belong to a run, not to the domain's files


@dataclass(frozen=True)
class Downloads:
    """How weight files of other people come here. Nothing here is part of a fingerprint.

    `folder` and `mirror` are empty for the defaults. `retries` are attempts that follow a failure; `timeout` is the
    longest silence of a server, `pause` the wait before the first retry, `lock_wait` that for another process, in
    seconds.
    """

    folder: str = ""
    mirror: str = ""
    proxy: str = ""
    retries: int = 5
    timeout: float = 30.0
    pause: float = 1.0
    lock_wait: float = 86400.0


def load_downloads(path: Path | None = None) -> Downloads:
    """[weights] of the settings file; what is not there has its default. Raises ConfigError."""
    path = path or find_config()
    section, default = Section(read_config(path), "weights", path), Downloads()
    section.refuse_others(asdict(default))
    section.values = {key: str(value) for key, value in asdict(default).items()} | section.values
    for key in ("mirror", "proxy"):
        if section.text(key) and not section.text(key).startswith(("http://", "https://")):
            raise section.fail(key, "a URL that starts with https:// or http://, or nothing")
    return Downloads(
        folder=section.text("folder"),
        mirror=section.text("mirror"),
        proxy=section.text("proxy"),
        retries=section.number("retries", int, 0, 1000),
        timeout=section.number("timeout", float, 0.1, 3600),
        pause=section.number("pause", float, 0.0, 3600),
        lock_wait=section.number("lock_wait", float, 0, 10**7),
    )


def load_files(domain: str, default: Mapping[str, str], path: Path | None = None) -> dict[str, str]:
    """What [domain.NAME] of the settings file says of the domain's files; what is not there has its default.

    Raises UnknownNameError for another key than those of `default`, ConfigError for an empty one.
    """
    path = path or find_config()
    section = Section(read_config(path), f"domain.{domain}", path)
    section.refuse_others((*default, *OF_A_RUN))
    found = {key: section.text(key, text) for key, text in default.items()}
    for key, text in found.items():
        if not text:
            raise section.fail(key, f"a name such as {default[key]}")
    return found
