"""Direction files as methods: `--method file:NAME=PATH`, or a section [method.file.NAME] of luigi.cfg.

A file of directions that somebody else made is evaluated as a method of the name NAME. Here is where the files lie and
which bytes they hold; what the bytes mean, `pipeline.methods.direction_file` knows.

>>> paths_of(["sefa", "file:mine=~/directions"], known=["sefa"])
(['sefa', 'mine'], {'mine': '~/directions'})
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.attributes import EVALUATED, index_of
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.settings import keys
from pipeline.settings.file import Section
from pipeline.settings.paths import expanded, is_bare_name, open_regular

PREFIX = "file:"  # of a method on the command line
SECTION = "method.file."  # of luigi.cfg, before NAME
ATTRIBUTE = "{attribute}"  # in a path: one file for each attribute
SUFFIXES = (".npy", ".pt", ".pth", ".safetensors")
LARGEST = 64 * 2**20  # bytes of a file; 35 attributes in 18 layers of 512 numbers take 1.3 MB
DIGEST = "sha256"  # of what the files hold; of a method's parameters, only a direction file's have it
SHOWN = 12  # names of files in an error
_KIND = SECTION.removesuffix(".")
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


@dataclass(frozen=True)
class DirectionKeys:
    """[method.file.NAME]: where the directions lie, and how an edit uses them."""

    path: str = keys.text(
        _KIND,
        "A folder with a file ATTRIBUTE.npy, .pt or .safetensors for each attribute; or a path with {attribute} in it; "
        "or one file, with a vector, or with a vector under the name of each attribute.",
        expected="a folder, a path with {attribute}, or a file",
    )
    names: str = keys.text(
        _KIND,
        "What the files call an attribute, where it is not its name: yaw: pose, expression: smiling.",
        default="",
    )
    flip: str = keys.text(
        _KIND,
        "Attributes whose vectors lower them, separated by commas: a positive strength must raise the attribute.",
        default="",
    )
    layers: str = keys.text(
        _KIND,
        "Layers that an edit touches: all, 4-7 (both included), 8- (to the last) or 3. Of a file with a vector for "
        "each layer, these are its rows too.",
        default="all",
    )
    normalise: bool = keys.flag(
        _KIND,
        "false: a strength of 1 adds the vector as it is. true: vectors are divided by their length (the root mean "
        "square over the layers), so a strength is a length in W.",
        default=False,
    )
    layer_mask: str = keys.text(_KIND, "As every method's.", default="none")


def is_direction_file(parameters: Mapping[str, Any]) -> bool:
    """Whether parameters of a method are of a direction file."""
    return DIGEST in parameters


def paths_of(methods: Sequence[str], known: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """The names of methods as a command line has them, and NAME -> PATH of every `file:NAME=PATH` among them.

    `file:NAME` stands for NAME. Raises ConfigError for a name that no direction file can have: `known` are methods.
    """
    names: list[str] = []
    paths: dict[str, str] = {}
    for method in methods:
        if not method.startswith(PREFIX):
            names.append(method)
            continue
        name, equals, path = (part.strip() for part in method.removeprefix(PREFIX).partition("="))
        check_name(name, known, f"--method {method}")
        if equals and not path:
            raise ConfigError(f"--method {method}: expected {PREFIX}NAME=PATH, found no path.")
        if equals and paths.setdefault(name, path) != path:
            raise ConfigError(f"--method {method}: {name} has the path {paths[name]} already. Give it another name.")
        names.append(name)
    return names, paths


def check_listed(method: str) -> None:
    """Raise ConfigError for a path with a comma: a run's methods are a list that commas separate."""
    if method.strip().startswith(PREFIX) and "," in method:
        raise ConfigError(
            f"--method {method}: a path with a comma belongs in luigi.cfg: [{SECTION}NAME] path. For several methods, "
            "repeat --method."
        )


def check_name(name: str, known: Collection[str], where: str) -> None:
    """Raise ConfigError unless a direction file may have this name: `known` are the names of methods."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: expected a name of 1 to 64 letters of A to Z, digits and _, found {name!r}.")
    if name in known:
        raise ConfigError(f"{where}: {name} is a method already. Give the direction file another name.")


def declare(
    parser: configparser.ConfigParser, paths: Mapping[str, str], known: Collection[str], source: Path
) -> tuple[str, ...]:
    """The NAME of every [method.file.NAME], each with all keys; `paths` have a section too.

    Raises ConfigError for a name that no direction file can have.
    """
    for name in paths:
        if not parser.has_section(SECTION + name):
            parser.add_section(SECTION + name)
    names = tuple(section.removeprefix(SECTION) for section in parser.sections() if section.startswith(SECTION))
    for name in names:
        check_name(name, known, f"{source}: [{SECTION}{name}]")
        section = parser[SECTION + name]
        Section(parser, section.name, source).refuse_others(keys.declared(DirectionKeys))
        for entry in fields(DirectionKeys):
            section.setdefault(entry.name, str("" if entry.name == "path" else entry.default))
    return names


def parameters_of(section: Section) -> dict[str, Any]:
    """The parameters of a method from [method.file.NAME]: its keys, an absolute path, the digest of what is there.

    Raises ConfigError.
    """
    read = keys.read_keys(DirectionKeys, {_KIND: section})
    path = str(expanded(read.path).absolute())
    try:
        digest = digest_of(files_at(path, parsed_names(read.names)))
    except ConfigError as error:
        key = "names" if "names" in section.changed else "path"
        raise ConfigError(f"{section.source(key)}: [{section.name}] {error}") from error
    return {entry.name: getattr(read, entry.name) for entry in fields(read)} | {"path": path, DIGEST: digest}


def parsed_names(text: str) -> dict[str, str]:
    """Evaluated attribute -> its name in the files, of a key `names`. Raises ConfigError.

    >>> parsed_names("yaw: pose, smile: smiling")
    {'yaw': 'pose', 'expression': 'smiling'}
    """
    names: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        attribute, colon, name = (word.strip() for word in part.partition(":"))
        if not colon or not is_bare_name(name):
            raise ConfigError(f"names: expected ATTRIBUTE: NAME, separated by commas, found {part!r}.")
        names[evaluated_name(attribute, "names")] = name
    return names


def evaluated_name(attribute: str, key: str) -> str:
    """The name under which a run edits an attribute. Raises ConfigError with the closest one."""
    for name, column in EVALUATED.items():
        if attribute in (name, column):
            return name
    try:
        index_of(attribute)
    except UnknownNameError:
        raise ConfigError(f"{key}: {UnknownNameError('evaluated attribute', attribute, EVALUATED)}") from None
    raise ConfigError(f"{key}: {attribute} is none of the attributes that a run edits: {', '.join(EVALUATED)}.")


def names_in_files(attribute: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """What a file may call an evaluated attribute: what `names` says, or else its two names.

    >>> names_in_files("expression", {}), names_in_files("yaw", {"yaw": "pose"})
    (('expression', 'smile'), ('pose',))
    """
    if attribute in names:
        return (names[attribute],)
    return tuple(dict.fromkeys((attribute, EVALUATED[attribute])))


def files_at(path: str, names: Mapping[str, str]) -> dict[str, Path]:
    """The files of a path: evaluated attribute -> its file, or "" -> the one file of all. Raises ConfigError."""
    place = Path(path)
    if ATTRIBUTE not in path and not os.path.isdir(path):
        return {"": place}
    files: dict[str, Path] = {}
    for attribute in EVALUATED:
        spelled = names_in_files(attribute, names)
        if ATTRIBUTE in path:
            tried = [Path(path.replace(ATTRIBUTE, name)) for name in spelled]
        else:
            tried = [place / f"{name}{suffix}" for name in spelled for suffix in SUFFIXES]
        there = [file for file in tried if os.path.lexists(file)]
        if len(there) > 1:
            raise ConfigError(
                f"path: {place} has {' and '.join(file.name for file in there)} for {attribute}, expected one of "
                "them. Move the others elsewhere."
            )
        if there:
            files[attribute] = there[0]
    if not files:
        raise ConfigError(f"path: {_nothing_at(path)}")
    return files


def _nothing_at(path: str) -> str:
    """An error about a folder, or a path with {attribute}, without a file for any attribute: names the files there."""
    if ATTRIBUTE in path:
        expected, found = f"{path} for an attribute", "no such file"
    else:
        expected = f"a file such as age.npy, age.pt or age.safetensors in {path}"
        there = sorted(entry.name for entry in os.scandir(path)) if os.access(path, os.R_OK) else []
        found = f"{', '.join(there[:SHOWN])}{', ...' if len(there) > SHOWN else ''}" if there else "nothing"
    return (
        f"expected {expected}, found {found}. Attributes are {', '.join(EVALUATED)}; `names` says what the files call "
        "them, such as yaw: pose."
    )


def read_bounded(path: Path) -> bytes:
    """All bytes of a regular file of at most LARGEST bytes. Raises ConfigError."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                raise ConfigError(f"path: {path} has {size:,} bytes; a file of directions has at most {LARGEST:,}.")
            return file.read(size)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = (error.strerror if isinstance(error, OSError) else "") or error
        raise ConfigError(f"path: expected a file of directions, found {path}: {reason}.") from error


def digest_of(files: Mapping[str, Path]) -> str:
    """`joined` of the contents: the path and the name of a file do not matter. Raises ConfigError."""
    return joined({attribute: hashlib.sha256(read_bounded(path)).hexdigest() for attribute, path in files.items()})


def joined(digests: Mapping[str, str]) -> str:
    """The sha256 of the one file (""), or, of several, the sha256 of the lines `sha256  ATTRIBUTE`."""
    if "" in digests:
        return digests[""]
    lines = "".join(f"{sha256}  {attribute}\n" for attribute, sha256 in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
