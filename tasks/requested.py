"""The settings and the chain of a run that is named by parameters; knows no Luigi, which takes long to import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.domains import base as domains
from pipeline.errors import ConfigError
from pipeline.methods import registry
from pipeline.settings.file import find_config, profiles, read_config
from pipeline.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from pipeline.chain.links import Chain

# Task parameter -> the key of luigi.cfg whose place it takes.
MACHINE = {
    "device": "machine.device",
    "devices": "machine.devices",
    "executor": "machine.executor",
    "dask_scheduler": "machine.scheduler",
    "dask_workers": "machine.workers",
    "dask_threads": "machine.threads",
}
# What names a run: texts, and `changes`, a mapping. Missing or empty ones mean what luigi.cfg says.
PARAMETERS = ("domain", "profile", "methods", "attributes", "changes", "outputs", *MACHINE)


def settings_of(parameters: Mapping[str, Any]) -> Settings:
    """The settings of the run that `PARAMETERS` name, read and checked. Raises ConfigError and UnknownNameError."""
    texts = {key: _text(key, value) for key, value in (parameters.get("changes") or {}).items()}
    texts |= {key: parameters[name] for name, key in MACHINE.items() if parameters.get(name)}
    named = {name: parameters.get(name) or "" for name in ("domain", "profile", "methods", "attributes", "outputs")}
    return _settings(**named, changes=tuple(sorted(texts.items())), path=find_config())


def settings_of_all(parameters: Mapping[str, Any]) -> Iterator[Settings]:
    """The settings of every domain and profile, with these `PARAMETERS`. Raises ConfigError and UnknownNameError."""
    for domain in domains.names():
        for profile in profiles(read_config(find_config())):
            yield settings_of({**parameters, "domain": domain, "profile": profile})


def _text(key: str, value: Any) -> str:
    """A setting of JSON as luigi.cfg would have it: true, null, a number, a text, a list. Raises ConfigError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_text(key, part) for part in value)
    raise ConfigError(f"--changes {key}: expected a text, a number, true, false or a list of these, found {value!r}.")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@lru_cache(maxsize=64)
def _settings(
    *,
    domain: str,
    profile: str,
    methods: str,
    attributes: str,
    outputs: str,
    changes: tuple[tuple[str, str], ...],
    path: Path,
) -> Settings:
    overrides = dict(changes)
    if outputs:
        overrides["latentbench.outputs"] = outputs
    return load_settings(
        domain=domain,
        profile=profile,
        methods=_listed(methods),
        attributes=_listed(attributes),
        known_methods=registry.names(),
        known_domains=domains.names(),
        files_of=domains.file_keys,
        overrides=overrides,
        path=path,
    )


def read_again() -> None:
    """Read luigi.cfg and the files that settings name again, as a new process does: they may have changed."""
    _settings.cache_clear()


@lru_cache(maxsize=64)
def chain_of(settings: Settings) -> Chain:
    """The stages of a run, made once."""
    from pipeline.chain.links import Chain

    return Chain(settings)
