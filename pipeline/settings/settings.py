"""Settings: luigi.cfg -> frozen dataclasses. What can change a number is apart from what cannot.

No torch, no Luigi. Every value is checked here, so that a wrong one is reported as this key of this file
before anything is computed.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.attributes import EVALUATED
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.settings.devices import EXPECTED, closest, is_device
from pipeline.settings.file import (
    CHANGEABLE,
    COMMAND_LINE,
    LUIGI,
    OWN,
    Section,
    check_sections,
    find_config,
    luigi_settings,
    profiles,
    read_config,
)
from pipeline.settings.paths import expanded, folder_to_be, open_regular
from stylegan.sampling import BLOCK

FULL, HALF = "full", "half"  # precision of the generator's high resolutions
MOST_DEVICES = 64
SCHEDULER = re.compile(r"(?:(?:tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):(\d{1,5})/?")
BATCH = 64  # images are generated and judged in batches of this many consecutive ids, on every machine
OF_EVERY_METHOD = ("layer_mask",)  # keys that every [method.*] may have (pipeline/methods/masking.py)
OF_A_RUN = ("truncation_psi", "precision")  # keys of [domain.*] that belong to a run, not to the domain's files


def digest(value: object) -> str:
    """sha256 of a JSON-compatible value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Protocol:
    """Everything but weights and method settings that can change a number. Sizes come from the profile."""

    profile: str
    seed: int
    truncation_psi: float
    attributes: tuple[str, ...]
    n_latents: int
    n_faces: int
    n_steps: int
    n_reference: int
    n_timings: int
    found_share: float
    detection_threshold: float
    displacement_cap: float
    bisections: int
    bootstrap_samples: int
    confidence: float
    kid_subsets: int
    kid_subset_size: int
    inception_score_splits: int
    first_face_id: int
    first_reference_id: int
    n_naming_codes: int = 256
    comparison_samples: int = 10_000
    first_naming_id: int = 3_000_000_000
    n_spread: int = 5000
    n_matched_faces: int = 500
    matched_levels: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    matched_bisections: int = 10
    matched_tolerance: float = 0.05
    n_rate_faces: int = 1000
    rate_strengths: int = 10
    false_accept_rate: float = 0.001
    n_consistency_faces: int = 200
    consistency_share: float = 0.5
    precision: str = FULL
    faces_from: str = ""  # a table of inverted photographs, instead of sampled faces
    faces_sha256: str = ""  # of that table: what of it changes numbers

    @property
    def rendering(self) -> dict[str, str]:
        """What a stage that makes images adds to its parameters: nothing in full precision."""
        return {} if self.precision == FULL else {"precision": self.precision}

    @property
    def edits_per_method(self) -> int:
        """Images generated per method: attributes x faces x steps."""
        return len(self.attributes) * self.n_faces * self.n_steps

    @property
    def matched_per_method(self) -> int:
        """Changes sought per method at matched change: attributes x faces x up and down x levels."""
        return len(self.attributes) * self.n_matched_faces * 2 * len(self.matched_levels)

    @property
    def rated_per_method(self) -> int:
        """Images generated per method for rate curves: attributes x faces x strengths."""
        return len(self.attributes) * self.n_rate_faces * self.rate_strengths


@dataclass(frozen=True)
class Machine:
    """How the work is done. Nothing here is part of a fingerprint.

    `devices` are the GPUs of this machine that get a worker process each, such as ("cuda:0", "cuda:1"); empty: one.
    """

    device: str = "cpu"
    devices: tuple[str, ...] = ()
    executor: str = "dask"
    scheduler: str = ""
    workers: int = 1
    threads: int = 1
    train_threads: int = 1
    shard_size: int = 1024
    lock_wait: float = 0.0
    check_disk: bool = True

    @property
    def uses_scheduler(self) -> bool:
        """Whether the work goes to an existing Dask cluster, whose devices and limits are not this machine's."""
        return self.executor == "dask" and bool(self.scheduler)

    @property
    def workers_of_our_own(self) -> int:
        """Worker processes of a cluster that we start: one for each GPU, else `workers`."""
        return max(1, len(self.devices)) if self.device.startswith("cuda") else self.workers

    @property
    def trains_side_by_side(self) -> bool:
        """Whether a training needs no more than its worker's threads, so that every worker can train a method."""
        return self.executor != "inline" and self.train_threads <= self.threads


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


@dataclass(frozen=True)
class Settings:
    """A whole run: what is computed (domain, protocol, methods), where and how."""

    domain: str
    protocol: Protocol
    methods: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]  # (name, its parameters)
    machine: Machine
    outputs: Path
    source: str  # the file the settings came from
    changed: tuple[str, ...] = ()  # keys, such as "protocol.seed", whose text the command line gave

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
        """Where a method's parameters came from, as errors about them say it."""
        asked = any(name.startswith(f"method.{method}.") for name in self.changed)
        return f"{COMMAND_LINE} and {self.source}" if asked else self.source

    def on(self, **machine: Any) -> Settings:
        """The same run on another machine setting, such as `on(executor="inline")`."""
        return replace(self, machine=replace(self.machine, **machine))

    def as_json(self) -> dict[str, Any]:
        """What can change a number, JSON-compatible (weights apart)."""
        protocol = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.protocol).items()}
        del protocol["precision"]  # in `rendering`, where it is not full
        del protocol["faces_from"]  # where the table lies changes nothing
        if not self.protocol.faces_sha256:
            del protocol["faces_sha256"]
        return {
            "domain": self.domain,
            "protocol": protocol | self.protocol.rendering,
            "methods": {name: dict(parameters) for name, parameters in self.methods},
        }


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


def _protocol(rules: Section, sizes: Section, of_domain: Section, profile: str) -> Protocol:
    attributes = tuple(dict.fromkeys(rules.names("attributes")))  # named twice, it would count twice in every mean
    column_names = {column: name for name, column in EVALUATED.items() if column != name}
    for attribute in attributes:
        if attribute in column_names:
            raise ConfigError(f"Attribute {attribute!r} is evaluated under the name {column_names[attribute]!r}.")
        if attribute not in EVALUATED:
            raise UnknownNameError("evaluated attribute", attribute, EVALUATED)
    if not attributes:
        raise rules.fail("attributes", "at least one evaluated attribute")
    far = 2**62
    faces_from, faces_sha256 = _faces_from(rules)
    protocol = Protocol(
        profile=profile,
        seed=rules.number("seed", int, 0, 2**63 - 1),
        truncation_psi=of_domain.number("truncation_psi", float, 0.05, 1.0),
        attributes=attributes,
        n_latents=sizes.number("n_latents", int, BLOCK, 10**9),
        n_faces=sizes.number("n_faces", int, 2, 10**6),
        n_steps=sizes.number("n_steps", int, 2, 10**4),
        n_reference=sizes.number("n_reference", int, 16, 10**7),
        n_timings=sizes.number("n_timings", int, 1, 10**4),
        found_share=rules.number("found_share", float, 0.0, 1.0),
        detection_threshold=rules.number("detection_threshold", float, 0.0, 1.0),
        displacement_cap=rules.number("displacement_cap", float, 0.01, 100.0),
        bisections=rules.number("bisections", int, 0, 30),
        bootstrap_samples=rules.number("bootstrap_samples", int, 10, 10**6),
        confidence=rules.number("confidence", float, 0.5, 0.999),
        kid_subsets=rules.number("kid_subsets", int, 1, 10**5),
        kid_subset_size=rules.number("kid_subset_size", int, 2, 10**5),
        inception_score_splits=rules.number("inception_score_splits", int, 1, 1000),
        first_face_id=rules.number("first_face_id", int, 0, far, multiple=BLOCK),
        first_reference_id=rules.number("first_reference_id", int, 0, far, multiple=BLOCK),
        n_naming_codes=sizes.number("n_naming_codes", int, 16, 10**6),
        comparison_samples=rules.number("comparison_samples", int, 10, 10**6),
        first_naming_id=rules.number("first_naming_id", int, 0, far, multiple=BLOCK),
        n_spread=sizes.number("n_spread", int, 16, 10**7),
        n_matched_faces=sizes.number("n_matched_faces", int, 2, 10**6),
        matched_levels=rules.rising("matched_levels", 0.01, 100.0),
        matched_bisections=rules.number("matched_bisections", int, 0, 60),
        matched_tolerance=rules.number("matched_tolerance", float, 1e-4, 1.0),
        n_rate_faces=sizes.number("n_rate_faces", int, 2, 10**6),
        rate_strengths=rules.number("rate_strengths", int, 2, 1000),
        false_accept_rate=rules.number("false_accept_rate", float, 1e-6, 0.5),
        n_consistency_faces=sizes.number("n_consistency_faces", int, 2, 10**6),
        consistency_share=rules.number("consistency_share", float, 0.01, 1.0),
        precision=of_domain.choice("precision", (FULL, HALF), FULL),
        faces_from=faces_from,
        faces_sha256=faces_sha256,
    )
    if protocol.n_consistency_faces > protocol.n_rate_faces:
        raise sizes.fail("n_consistency_faces", f"no more than the n_rate_faces of {protocol.n_rate_faces:,}")
    if protocol.n_spread > protocol.n_reference:
        raise sizes.fail("n_spread", f"no more than the n_reference of {protocol.n_reference:,} images")
    if protocol.matched_tolerance >= protocol.matched_levels[0]:
        raise rules.fail(
            "matched_tolerance", f"less than the smallest of matched_levels, {protocol.matched_levels[0]:g}"
        )
    _check_apart(protocol, rules.path)
    return protocol


def _faces_from(rules: Section) -> tuple[str, str]:
    """Path and sha256 of the table of inverted photographs; both empty where faces are sampled."""
    text = rules.text("faces_from", "")
    if not text:
        return "", ""
    path = expanded(text).absolute()
    try:
        with open_regular(path) as file:
            return str(path), hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise rules.fail("faces_from", f"a table that `latentbench invert` wrote ({error.strerror})") from error


def _check_apart(protocol: Protocol, path: Path) -> None:
    """Raises ConfigError if an id is in two sets of latents: what is trained or named on would be judged too."""
    sets = sorted(
        [
            (0, protocol.n_latents, "n_latents"),
            (
                protocol.first_face_id,
                max(protocol.n_faces, protocol.n_matched_faces, protocol.n_rate_faces),
                "first_face_id",
            ),
            (protocol.first_reference_id, protocol.n_reference, "first_reference_id"),
            (protocol.first_naming_id, protocol.n_naming_codes, "first_naming_id"),
        ]
    )
    for (first, count, one), (start, _, other) in pairwise(sets):
        if start < first + count:
            raise ConfigError(
                f"{path}: [protocol] {one} and {other}: the latents {first} to {first + count - 1} reach into those "
                f"from {start}; no two sets may have an id in common."
            )


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scheduler_place(address: str) -> tuple[str, int] | None:
    """Host and port of a Dask scheduler's address; None for one of this very process, which has none.

    Raises ValueError for what is no such address.
    """
    if address.startswith("inproc://"):
        return None
    match = SCHEDULER.fullmatch(address)
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise ValueError(address)
    return match[1].strip("[]"), int(match[2])


def _scheduler(section: Section) -> str:
    address = section.text("scheduler", "")
    try:
        if address:
            scheduler_place(address)
    except ValueError:
        raise section.fail(
            "scheduler", "the address of a Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT, or nothing"
        ) from None
    return address


def _device(section: Section) -> str:
    device = section.text("device")
    if not is_device(device):
        raise ConfigError(f"{section.fail('device', EXPECTED)}{closest(device)}")
    return device


def _machine(section: Section) -> Machine:
    available = cores()
    threads = section.number("threads", int, 1, 1024)
    executor = section.choice("executor", ("dask", "inline"))
    workers = section.number("workers", int, 0, 4096) or max(1, available // threads)
    scheduler = _scheduler(section)
    if executor == "dask" and not scheduler and workers * threads > available:
        raise ConfigError(
            f"{section.source('workers', 'threads')}: [machine] workers x threads is {workers} x {threads}, but there "
            f"are {available} cores: torch and Dask would fight for them. Lower one of the two, or set workers = 0."
        )
    device, devices = _device(section), _devices(section)
    if devices and (device != "cuda" or executor != "dask" or scheduler):
        source = section.source("devices", "device", "executor", "scheduler")
        raise ConfigError(
            f"{source}: [machine] devices = {section.text('devices')} starts a worker of our own on each of these "
            f"GPUs, which wants device = cuda, executor = dask and no scheduler; found device = {device}, executor = "
            f"{executor}, scheduler = {scheduler or 'none'}. Change these, or empty devices."
        )
    return Machine(
        device=device,
        devices=devices,
        executor=executor,
        scheduler=scheduler,
        workers=workers,
        threads=threads,
        train_threads=section.number("train_threads", int, 0, 1024) or available,
        shard_size=section.number("shard_size", int, BLOCK, 2**30, multiple=BLOCK),
        lock_wait=section.number("lock_wait", float, 0, 10**7),
        check_disk=section.flag("check_disk", default=True),
    )


def _devices(section: Section) -> tuple[str, ...]:
    """The GPUs of `devices`: 2 or cuda:0, cuda:1 -> ("cuda:0", "cuda:1"); empty: none are named."""
    text = section.text("devices", "")
    if text.isdigit() and 1 <= int(text) <= MOST_DEVICES:
        return tuple(f"cuda:{index}" for index in range(int(text)))
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if len(set(names)) < len(names) or not all(re.fullmatch(r"cuda:(0|[1-9]\d{0,2})", name) for name in names):
        raise section.fail("devices", f"a number from 1 to {MOST_DEVICES}, or different GPUs such as cuda:0, cuda:1")
    return names


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
    if section in (*LUIGI, "weights"):
        raise ConfigError(
            f"--set {name}: only [{'], ['.join(CHANGEABLE)}] can be changed for a run. Change [{section}] in {path}, "
            "or name another settings file in $LUIGI_CONFIG_PATH."
        )
    if not parser.has_section(section):
        raise UnknownNameError(f"section of {path.name}", section, parser.sections())
    known = (*parser[section], *(OF_EVERY_METHOD if section.startswith("method.") else ()))
    if key not in known:
        raise UnknownNameError(f"key of [{section}] in {path.name}", key, known)
    if section.startswith("domain.") and key not in OF_A_RUN:
        raise ConfigError(
            f"--set {name}: which files a domain uses is read from {path}, by every worker for itself. Change it "
            "there, or name another settings file in $LUIGI_CONFIG_PATH."
        )
    parser[section][key] = text
    return section


def _methods(
    parser: configparser.ConfigParser, profile: str, names: Sequence[str], changed: Collection[str]
) -> tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]:
    """(name, parameters) of each method: its section, then the profile's `METHOD.KEY`, then what is `changed`."""
    chosen = []
    for name in names:
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
    read: Mapping[str, Section],
    methods: Collection[str],
    files_of: Callable[[str], Collection[str]] | None,
) -> None:
    """Raise UnknownNameError for a key that nobody reads, which would be without effect and without a word.

    `read` are the sections that were read: what was asked of them is what there is. Keys of [method.*] are checked by
    the methods, those of [domain.*] where `files_of` knows which a domain has.
    """
    for name in (OWN, "protocol", "machine"):
        read[name].refuse_others(read[name].asked)
    Section(parser, "weights", path).refuse_others(asdict(Downloads()))
    for name in profiles(parser):
        section = Section(parser, f"profile.{name}", path)
        sizes = read["profile"].asked
        own = {key for key in section.values if "." in key and key.partition(".")[0] in methods}
        section.refuse_others(sizes | own)
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
    """Read and check every setting; empty arguments mean what the file says.

    `overrides` maps "section.key" to a text that takes the place of the file's, such as
    {"machine.workers": "1", "profile.smoke.n_faces": "4"}; a "method.NAME.key" also beats the profile's. `files_of`
    answers the keys of [domain.NAME] that name files.
    Raises ConfigError and UnknownNameError, also for sections and keys that nobody reads.
    """
    path, overrides = path or find_config(), overrides or {}
    parser = read_config(path)
    check_sections(parser, path, known_methods, known_domains)
    luigi_settings(parser, path)
    changed = {(_change(parser, path, name, text), _split(name, parser)[1]) for name, text in overrides.items()}
    if attributes and parser.has_section("protocol"):
        parser["protocol"]["attributes"] = ", ".join(attributes)
        changed.add(("protocol", "attributes"))

    def section(name: str) -> Section:
        return Section(parser, name, path, {key for of, key in changed if of == name})

    run = section(OWN)
    read = {OWN: run, "protocol": section("protocol"), "machine": section("machine")}
    named = run.some_text("domain", "the name of a domain"), run.some_text("profile", "the name of a profile")
    domain, profile = domain or named[0], profile or named[1]
    if domain not in known_domains:
        raise UnknownNameError("domain", domain, known_domains)
    if profile not in profiles(parser):
        raise UnknownNameError("profile", profile, profiles(parser))
    chosen = tuple(dict.fromkeys(run.names("methods")))
    chosen = tuple(dict.fromkeys(methods)) or chosen
    for name in chosen:
        if name not in known_methods:
            raise UnknownNameError("method", name, known_methods)
    if not chosen:
        raise run.fail("methods", "at least one method")
    read["profile"] = section(f"profile.{profile}")
    settings = Settings(
        domain=domain,
        protocol=_protocol(read["protocol"], read["profile"], section(f"domain.{domain}"), profile),
        methods=_methods(parser, profile, chosen, overrides),
        machine=_machine(read["machine"]),
        outputs=folder_to_be(expanded(run.some_text("outputs", "a folder"))),
        source=str(path),
        changed=tuple(sorted(overrides)),
    )
    _refuse_unknown_keys(parser, path, read, known_methods, files_of)
    return settings
