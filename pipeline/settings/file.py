"""luigi.cfg as a file: where it is looked for, how it is read, which sections and keys it may have.

Errors name the file and line that cannot be read, and the known name closest to an unknown one. Luigi reads settings
too, and some of those run code; it gets the few keys of `LUIGI` from us, checked, and nothing else of the file.
"""

from __future__ import annotations

import codecs
import configparser
import difflib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.settings.names import RULE, fits

VARIABLE = "LUIGI_CONFIG_PATH"
OWN = "latentbench"  # the section that makes a luigi.cfg one of ours
COMMAND_LINE = "command line"
LEVELS = ("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
CODES = ("already_running", "missing_data", "not_run", "task_failed", "scheduling_error", "unhandled_exception")
# Luigi's sections, and the keys of each that are passed on to Luigi.
LUIGI = {
    "core": ("log_level", "autoload_range"),
    "worker": ("cache_task_completion",),
    "RangeDaily": ("days_back", "task_limit"),
    "retcode": CODES,
    "email": ("receiver", "sender", "prefix", "force_send"),
    "smtp": ("host", "port", "no_tls", "ssl", "timeout", "username"),
}
TEXTS = ("receiver", "sender", "prefix", "host", "username")
# Our sections of fixed name; [profile.*], [domain.*] and [method.*] come on top.
SECTIONS = (OWN, "protocol", "machine", "weights", "nights")
# Sections that --set may change. More than one run reads the others from the file.
CHANGEABLE = (OWN, "protocol", "machine", "weights", "nights", "profile.*", "domain.*", "method.*")
OF_EVERY_METHOD = ("layer_mask",)  # keys that every [method.*] may have (pipeline/methods/masking.py)


def find_config() -> Path:
    """luigi.cfg: $LUIGI_CONFIG_PATH, then ./luigi.cfg, then the packaged copy."""
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise ConfigError(
                f"${VARIABLE} names {path}, which is not a file: correct it, or unset it to use ./luigi.cfg or the "
                "packaged one."
            )
        return path
    for path in (Path("luigi.cfg"), *packaged()):
        if path.is_file():
            return path
    raise ConfigError("No luigi.cfg found: expected in this folder or in the installed package.")


def packaged() -> tuple[Path, Path]:
    """Paths of the packaged copy: in the installed package, and in a checkout."""
    here = Path(__file__).resolve()
    return here.parents[1] / "luigi.cfg", here.parents[2] / "luigi.cfg"


def read_config(path: Path) -> configparser.ConfigParser:
    """The settings file, parsed. Raises ConfigError with the line that cannot be read."""
    parser = configparser.ConfigParser(inline_comment_prefixes=None, interpolation=None)
    try:
        parser.read_string(_decoded(path), source=str(path))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.") from error
    except configparser.Error as error:
        raise ConfigError(f"Cannot read {path}{_parse_fault(error)}") from error
    if parser.defaults():
        raise ConfigError(
            f"{path}: [{parser.default_section}] would be a part of every section, and is not read: put "
            f"{', '.join(parser.defaults())} into the section that should have it."
        )
    return parser


def _decoded(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark. Raises ConfigError with the line, OSError."""
    data = path.read_bytes()
    again = "Save it again as UTF-8."
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"Cannot read {path}: expected UTF-8, found UTF-16. {again}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x}"
        raise ConfigError(f"Cannot read {path}, line {line}: expected UTF-8, found {found}. {again}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError(f"Cannot read {path}, line {line}: expected a text, found a zero byte.")
    return text


def _parse_fault(error: configparser.Error) -> str:
    """The line of a parse error, with the expected and the found text."""
    if isinstance(error, configparser.DuplicateSectionError):
        return f", line {error.lineno}: the section [{error.section}] already exists. Join the two."
    if isinstance(error, configparser.DuplicateOptionError):
        return f", line {error.lineno}: [{error.section}] {error.option} already exists. Take one of them out."
    expected = "expected [SECTION], KEY = VALUE or a comment"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f", line {error.lineno}: expected a [SECTION] before the first key, found {error.line.strip()!r}."
    if isinstance(error, configparser.ParsingError) and error.errors:
        line, found = error.errors[0]
        return f", line {line}: {expected}, found {str(found).strip()}."
    return f": {error.message}"


def profiles(parser: configparser.ConfigParser) -> tuple[str, ...]:
    """Names of the profiles of a settings file."""
    return tuple(s.removeprefix("profile.") for s in parser.sections() if s.startswith("profile."))


class Section:
    """One section of the file, read key by key with the checks that each key needs.

    changed: keys whose text came from the command line; errors name the command line for them, not the file.
    asked: keys that were read so far.
    """

    def __init__(self, parser: configparser.ConfigParser, name: str, path: Path, changed: Collection[str] = ()) -> None:
        self.name, self.path, self.changed = name, path, changed
        self.exists = parser.has_section(name)
        self.values: dict[str, str] = dict(parser[name]) if self.exists else {}
        self.asked: set[str] = set()

    def source(self, *keys: str) -> str:
        """The source that an error about these keys names: the command line if it gave one of them, else the file."""
        return COMMAND_LINE if any(key in self.changed for key in keys) else str(self.path)

    def fail(self, key: str, expected: str) -> ConfigError:
        """An error with the expected and the found value of a key."""
        if not self.exists:
            return ConfigError(f"{self.path} has no section [{self.name}]; {key}: expected {expected}.")
        found = repr(self.values[key]) if key in self.values else self._nothing(key)
        return ConfigError(f"{self.source(key)}: [{self.name}] {key}: expected {expected}, found {found}.")

    def _nothing(self, key: str) -> str:
        close = difflib.get_close_matches(key, set(self.values) - self.asked, n=1, cutoff=0.6)
        return f"nothing (but {close[0]!r}, which is no setting)" if close else "nothing"

    def number(self, key: str, kind: Callable[[str], Any], low: float, high: float, *, multiple: int = 1) -> Any:
        """A number of that kind in [low, high]. Raises ConfigError."""
        noun = "a whole number" if kind is int else "a number"
        expected = f"{noun} from {low:g} to {high:g}" + (f", a multiple of {multiple}" if multiple > 1 else "")
        self.asked.add(key)
        try:
            value = kind(self.values[key])
        except (KeyError, ValueError):
            raise self.fail(key, expected) from None
        if not low <= value <= high or (multiple > 1 and value % multiple):
            raise self.fail(key, expected)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text, perhaps an empty one. Raises ConfigError for a missing one without a default."""
        self.asked.add(key)
        if key not in self.values:
            if default is None:
                raise self.fail(key, "a text")
            return default
        return self.values[key].strip()

    def some_text(self, key: str, expected: str) -> str:
        """A text that is not empty. Raises ConfigError."""
        text = self.text(key)
        if not text:
            raise self.fail(key, expected)
        return text

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str:
        """One of these words. Raises ConfigError."""
        value = self.text(key, default)
        if value not in options:
            raise self.fail(key, " or ".join(options))
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false, in any case of letters. Raises ConfigError."""
        value = self.text(key, str(default)).lower()
        if value not in ("true", "false"):
            raise self.fail(key, "true or false")
        return value == "true"

    def rising(self, key: str, low: float, high: float) -> tuple[float, ...]:
        """Rising numbers in [low, high], at least one. Raises ConfigError."""
        expected = f"rising numbers from {low:g} to {high:g}, separated by commas"
        try:
            values = tuple(float(part) for part in self.names(key))
        except ValueError:
            raise self.fail(key, expected) from None
        rises = all(lower < upper for lower, upper in pairwise(values))
        if not values or not rises or not low <= values[0] <= values[-1] <= high:
            raise self.fail(key, expected)
        return values

    def names(self, key: str) -> tuple[str, ...]:
        """The parts of a text that commas separate."""
        return tuple(part.strip() for part in self.text(key).split(",") if part.strip())

    def refuse_others(self, known: Collection[str]) -> None:
        """Raise UnknownNameError for a key that the section cannot have."""
        for key in self.values:
            if key not in known:
                raise UnknownNameError(f"key of [{self.name}] in {self.path}", key, known)


def check_sections(
    parser: configparser.ConfigParser, path: Path, methods: Collection[str], domains: Collection[str]
) -> None:
    """Raise ConfigError or UnknownNameError for a section that we do not know, and for a file that is not ours.

    methods, domains: names that may have a section.
    """
    known = (*SECTIONS, *LUIGI, *(f"domain.{name}" for name in domains), *(f"method.{name}" for name in methods))
    known += tuple(f"profile.{name}" for name in profiles(parser))
    if not parser.has_section(OWN):
        close = difflib.get_close_matches(OWN, parser.sections(), n=1, cutoff=0.6)
        if close or parser.has_section("protocol"):
            found = f"found [{close[0]}]" if close else "found none"
            raise ConfigError(f"{path}: expected a section [{OWN}], {found}.")
        ours = next((path for path in packaged() if path.is_file()), Path("luigi.cfg"))
        raise ConfigError(
            f"{path} has no section [{OWN}]: it is the settings file of another program. Name one of Latentbench's "
            f"in ${VARIABLE} (its own is {ours}), or work in another folder."
        )
    for section in parser.sections():
        if section not in known:
            close = difflib.get_close_matches(section, known, n=1, cutoff=0.6)
            hint = f" Did you mean [{close[0]}]?" if close else ""
            raise ConfigError(f"{path}: [{section}] is no section of Latentbench's.{hint} {_advice(section, known)}")
    for name in profiles(parser):
        if not fits(name):
            raise ConfigError(f"{path}: [profile.{name}]: expected a name of {RULE}.")


def _advice(section: str, known: Sequence[str]) -> str:
    if section.startswith("method."):
        return "Install the package that brings this method, or take the section out."
    named = [name for name in known if not name.startswith(("method.", "domain.", "profile."))]
    return f"Known: {', '.join(named)}, profile.NAME, domain.NAME, method.NAME. Take it out, or correct its name."


def luigi_settings(parser: configparser.ConfigParser, path: Path) -> Mapping[str, Mapping[str, str]]:
    """Section -> key -> text for Luigi. Raises ConfigError, and UnknownNameError for any other key."""
    passed_on: dict[str, dict[str, str]] = {}
    for name, keys in LUIGI.items():
        section = Section(parser, name, path)
        section.refuse_others(keys)
        passed_on[name] = {key: _checked(section, key) for key in keys if key in section.values}
    return passed_on


def _checked(section: Section, key: str) -> str:
    if section.name in ("retcode", "RangeDaily"):
        return str(section.number(key, int, 0, 255 if section.name == "retcode" else 10**5))
    if key == "log_level":
        return section.choice(key, LEVELS)
    if key in TEXTS:
        return section.text(key)
    if key in ("port", "timeout"):
        return str(section.number(key, int, 0, 65535))
    return str(section.flag(key, default=True)).lower()
