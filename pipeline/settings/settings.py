"""Settings: luigi.cfg -> frozen dataclasses. `Experiment` can change numbers, `Machine` and `Downloads` cannot.

No torch, no Luigi. Every value is checked here, so that a wrong one is reported as this key of this file
before anything is computed.
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.settings import direction_files, keys
from pipeline.settings.downloads import OF_A_RUN, WEIGHTS, Downloads, Sources, read_sources
from pipeline.settings.experiment import DOMAIN, PRECISION, RULES, SIZES, Experiment, read_experiment
from pipeline.settings.file import (
    CHANGEABLE,
    COMMAND_LINE,
    LUIGI,
    OF_EVERY_METHOD,
    OWN,
    Section,
    check_sections,
    find_config,
    luigi_settings,
    profiles,
    read_config,
)
from pipeline.settings.machine import MACHINE, Machine, read_machine
from pipeline.settings.nights import NIGHTS, Watch
from pipeline.settings.paths import expanded, folder_to_be


@dataclass(frozen=True)
class Choice:
    """[latentbench]: the plain run. `load_settings` checks the names."""

    domain: str = keys.text(OWN, "Domain of a plain `latentbench run`.", expected="the name of a domain")
    profile: str = keys.text(OWN, "Profile of a plain run: the sizes of every stage.", expected="the name of a profile")
    methods: tuple[str, ...] = keys.key(
        OWN, Section.names, "Methods of a plain run, separated by commas; `latentbench methods` lists them."
    )
    outputs: str = keys.text(
        OWN,
        "Where runs write: stages/ (cache and record) and reports/ (published tables and pages).",
        expected="a folder",
    )


@dataclass(frozen=True)
class OfDomain:
    """What a plain run in a domain has in place of [latentbench]. `load_settings` checks the names."""

    methods: tuple[str, ...] = keys.key(
        DOMAIN,
        Section.names,
        "Methods of a plain run in this domain, separated by commas; empty: as [latentbench] has them.",
        default=(),
    )


@dataclass(frozen=True)
class Settings:
    """A whole run: domain, experiment and methods, the machine that computes it, and the outputs folder."""

    domain: str
    experiment: Experiment
    methods: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]  # (name, its parameters)
    machine: Machine
    outputs: Path
    source: str  # the file the settings came from
    changed: tuple[str, ...] = ()  # keys, such as "protocol.seed", whose text the command line gave
    sources: Sources = Sources()
    watch: Watch = Watch()

    @property
    def method_names(self) -> tuple[str, ...]:
        """Names of the methods, in the order in which tables show them."""
        return tuple(name for name, _ in self.methods)

    def method_parameters(self, name: str) -> dict[str, Any]:
        """Constructor arguments of a method. Raises UnknownNameError if this run does not have it."""
        for known, parameters in self.methods:
            if known == name:
                return dict(parameters)
        raise UnknownNameError("method in this run", name, self.method_names)

    def source_of(self, method: str) -> str:
        """The source of a method's parameters, as errors name it."""
        sections = (f"method.{method}.", f"{direction_files.SECTION}{method}.")
        asked = any(name.startswith(sections) for name in self.changed)
        return f"{COMMAND_LINE} and {self.source}" if asked else self.source

    def on(self, **machine: Any) -> Settings:
        """The same run on another machine setting, such as `on(executor="inline")`."""
        return replace(self, machine=replace(self.machine, **machine))

    def as_json(self) -> dict[str, Any]:
        """What can change a number, JSON-compatible (weights apart)."""
        experiment = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.experiment).items()}
        del experiment["precision"]  # in `rendering`, where it is not full
        del experiment["training_precision"]  # in `learning`, likewise
        del experiment["faces_from"]  # where the table lies changes nothing
        if not self.experiment.faces_sha256:
            del experiment["faces_sha256"]
        return {
            "domain": self.domain,
            "protocol": experiment | self.experiment.rendering | self.experiment.learning,
            "methods": {name: _deciding(dict(parameters)) for name, parameters in self.methods},
        }


def _deciding(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a method that can change a number: where a direction file lies changes nothing."""
    if direction_files.is_direction_file(parameters):
        del parameters["path"]
    return parameters


def parse_value(text: str) -> bool | int | float | str:
    """A setting of a method as the type it looks like: true/false, whole number, number, else text."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _split(name: str, parser: configparser.ConfigParser) -> tuple[str, str]:
    """Section and key of "section.key"; both may hold dots, and a section that exists is preferred."""
    for section in sorted(parser.sections(), key=len, reverse=True):
        if name.startswith(f"{section}."):
            return section, name.removeprefix(f"{section}.")
    section, _, key = name.rpartition(".")
    return section, key


def _change(parser: configparser.ConfigParser, path: Path, name: str, text: str) -> str:
    """Set "section.key" to another text; answers the section. Raises UnknownNameError and ConfigError."""
    section, key = _split(name, parser)
    if section in LUIGI:
        raise ConfigError(
            f"--set {name}: only [{'], ['.join(CHANGEABLE)}] can be changed for a run. Change [{section}] in {path}, "
            "or name another settings file in $LUIGI_CONFIG_PATH."
        )
    if not parser.has_section(section):
        raise UnknownNameError(f"section of {path.name}", section, parser.sections())
    known = (*parser[section], *(OF_EVERY_METHOD if section.startswith("method.") else ()))
    if key not in known:
        raise UnknownNameError(f"key of [{section}] in {path.name}", key, known)
    parser[section][key] = text
    return section


def _methods(
    parser: configparser.ConfigParser,
    profile: str,
    names: Sequence[str],
    changed: Collection[str],
    section: Callable[[str], Section],
) -> tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]:
    """(name, parameters) of each method: its section, then the profile's `METHOD.KEY`, then the `changed` keys."""
    chosen: list[tuple[str, tuple[tuple[str, Any], ...]]] = []
    for name in names:
        if parser.has_section(direction_files.SECTION + name):
            found = direction_files.parameters_of(section(direction_files.SECTION + name))
            chosen.append((name, tuple(sorted(found.items()))))
            continue
        parameters = dict(parser[f"method.{name}"]) if parser.has_section(f"method.{name}") else {}
        for key, text in parser[f"profile.{profile}"].items():
            if key.startswith(f"{name}.") and f"method.{key}" not in changed:
                parameters[key.removeprefix(f"{name}.")] = text
        typed = {key: parse_value(text) for key, text in sorted(parameters.items())}
        chosen.append((name, tuple(typed.items())))
    return tuple(chosen)


def _refuse_unknown_keys(
    parser: configparser.ConfigParser,
    path: Path,
    methods: Collection[str],
    domains: Collection[str],
    files_of: Callable[[str], Collection[str]] | None,
) -> None:
    """Raise UnknownNameError for a key that nobody reads, which would silently have no effect.

    The methods check the keys of [method.*]. The file keys of [domain.*] are checked where `files_of` knows them.
    """
    for name, kind in ((OWN, Choice), (RULES, Experiment), (MACHINE, Machine), (WEIGHTS, Downloads), (NIGHTS, Watch)):
        Section(parser, name, path).refuse_others(keys.declared(kind, name))
    for name in profiles(parser):
        section = Section(parser, f"profile.{name}", path)
        of_methods = {key for key in section.values if "." in key and key.partition(".")[0] in methods}
        sizes = keys.declared(Experiment, SIZES)
        of_domains = {f"{domain}.{key}" for domain in domains for key in (PRECISION, *sizes)}
        section.refuse_others({*sizes, *of_methods, *of_domains})
    for name in parser.sections():
        if name.startswith("domain.") and files_of is not None:
            Section(parser, name, path).refuse_others((*OF_A_RUN, *files_of(name.removeprefix("domain."))))


def load_settings(
    *,
    domain: str = "",
    profile: str = "",
    methods: Sequence[str] = (),
    attributes: Sequence[str] = (),
    known_methods: Sequence[str],
    known_domains: Sequence[str],
    files_of: Callable[[str], Collection[str]] | None = None,
    overrides: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Settings:
    """Read and check every setting; an empty argument leaves the file's value.

    `overrides` maps "section.key" to a text that takes the place of the file's, such as
    {"machine.workers": "1", "profile.smoke.n_faces": "4"}; a "method.NAME.key" also beats the profile's. `methods` may
    hold `file:NAME=PATH`. `files_of` answers the keys of [domain.NAME] that name files. Raises ConfigError and
    UnknownNameError, also for sections and keys that nobody reads.
    """
    path = path or find_config()
    parser = read_config(path)
    methods, paths = direction_files.paths_of(methods, known_methods)
    overrides = dict(overrides or {}) | {f"{direction_files.SECTION}{name}.path": at for name, at in paths.items()}
    of_files = direction_files.declare(parser, paths, known_methods, path)
    check_sections(parser, path, (*known_methods, *(f"file.{name}" for name in of_files)), known_domains)
    luigi_settings(parser, path)
    changed = {(_change(parser, path, name, text), _split(name, parser)[1]) for name, text in overrides.items()}
    if attributes and parser.has_section("protocol"):
        parser["protocol"]["attributes"] = ", ".join(attributes)
        changed.add(("protocol", "attributes"))

    def section(name: str) -> Section:
        return Section(parser, name, path, {key for of, key in changed if of == name})

    run = section(OWN)
    choice = keys.read_keys(Choice, {OWN: run})
    domain, profile = domain or choice.domain, profile or choice.profile
    if domain not in known_domains:
        raise UnknownNameError("domain", domain, known_domains)
    if profile not in profiles(parser):
        raise UnknownNameError("profile", profile, profiles(parser))
    usual = keys.read_keys(OfDomain, {DOMAIN: section(f"domain.{domain}")}).methods
    of_run = choice.methods if "methods" in run.changed else usual or choice.methods
    chosen = tuple(dict.fromkeys(methods or of_run))
    for name in (name for name in chosen if name not in (*known_methods, *of_files)):
        raise UnknownNameError("method", name, (*known_methods, *of_files))
    if not chosen:
        raise run.fail("methods", "at least one method")
    settings = Settings(
        domain=domain,
        experiment=read_experiment(section(RULES), section(f"profile.{profile}"), section(f"domain.{domain}"), profile),
        methods=_methods(parser, profile, chosen, overrides, section),
        machine=read_machine(section(MACHINE)),
        outputs=folder_to_be(expanded(choice.outputs)),
        source=str(path),
        changed=tuple(sorted(overrides)),
        sources=read_sources(section(WEIGHTS), section(f"domain.{domain}")),
        watch=keys.read_keys(Watch, {NIGHTS: section(NIGHTS)}),
    )
    _refuse_unknown_keys(parser, path, known_methods, known_domains, files_of)
    return settings
