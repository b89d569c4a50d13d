"""luigi.cfg against the fields that declare its keys: no key, no default and no comment is in one of them alone."""

from __future__ import annotations

from dataclasses import MISSING
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.settings.comments import KINDS, declared_keys, with_comments
from pipeline.settings.downloads import OF_A_RUN, WEIGHTS, Downloads
from pipeline.settings.experiment import DOMAIN, RULES, SIZES, Experiment
from pipeline.settings.file import OWN, Section, profiles, read_config
from pipeline.settings.keys import KEY, declared
from pipeline.settings.machine import MACHINE, Machine
from pipeline.settings.settings import Choice, OfDomain

FILE = Path(__file__).parents[3] / "luigi.cfg"
PARSER = read_config(FILE)
DECLARED = {OWN: Choice, RULES: Experiment, SIZES: Experiment, MACHINE: Machine, WEIGHTS: Downloads}


def sections_of(kind: str) -> list[str]:
    """The sections of luigi.cfg that have the keys of a kind."""
    return [f"profile.{name}" for name in profiles(PARSER)] if kind == SIZES else [kind]


@pytest.mark.parametrize("kind", DECLARED)
def test_every_key_of_the_file_is_a_field_and_every_field_is_in_the_file(kind: str) -> None:
    names = set(declared(DECLARED[kind], kind))
    assert names == set(declared_keys(kind))
    for section in sections_of(kind):
        assert {key for key in PARSER[section] if kind != SIZES or "." not in key} == names


def test_the_keys_of_a_run_are_in_every_domain() -> None:
    assert set(declared(Experiment, DOMAIN)) | set(declared(OfDomain)) == set(OF_A_RUN) == set(declared_keys(DOMAIN))
    domains = [name for name in PARSER.sections() if name.startswith("domain.")]
    assert domains and "truncation_psi" in PARSER["domain.ffhq"]
    assert set(OF_A_RUN) <= set(PARSER["domain.synthface"])


@pytest.mark.parametrize("kind", [*DECLARED, DOMAIN])
def test_a_default_is_what_the_file_has(kind: str) -> None:
    section = Section(PARSER, "domain.synthface" if kind == DOMAIN else sections_of(kind)[0], FILE)
    fields = declared(Experiment if kind == DOMAIN else DECLARED[kind], kind)
    found = {name: entry.metadata[KEY].read(section, name) for name, entry in fields.items()}
    assert found and all(entry.default in (MISSING, found[name]) for name, entry in fields.items())


def test_what_can_change_a_number_has_no_default_but_in_the_file() -> None:
    """But for what leaves every number as it is: full precision, sampled faces."""
    optional = {name for name, entry in declared(Experiment).items() if entry.default is not MISSING}
    assert optional == {"precision", "training_precision", "faces_from"}


def test_the_comments_of_the_file_are_those_of_the_fields() -> None:
    """After a field changed: python -m pipeline.settings.comments luigi.cfg."""
    text = FILE.read_text()
    assert with_comments(text) == text
    stripped = "\n".join(line for line in text.splitlines() if not line.startswith("# Largest displacement")) + "\n"
    assert stripped != text and with_comments(stripped) == text


def test_a_field_is_declared_once_and_says_what_it_means() -> None:
    keys = [entry.metadata[KEY] for kind in KINDS for entry in declared(kind).values()]
    assert len(keys) > 40 and all(key.comment.endswith(".") and key.section for key in keys)
    assert len({key.comment for key in keys}) == len(keys)


@pytest.mark.parametrize("kind", [RULES, SIZES, MACHINE, WEIGHTS, DOMAIN])
def test_a_number_beyond_its_bounds_or_between_its_multiples_is_refused(kind: str) -> None:
    name_of = "domain.synthface" if kind == DOMAIN else sections_of(kind)[0]
    numbers = {name: key for name, key in declared_keys(kind).items() if key.bounds is not None}
    assert numbers
    for name, key in numbers.items():
        assert key.bounds is not None
        low, high = key.bounds
        for end in (low, high):
            section = Section(PARSER, name_of, FILE)
            section.values[name] = f"{end}"
            assert key.read(section, name) in (end, (end,))
        beyond = [low - key.multiple, high + max(key.multiple, high / 2**50), "nan", ""]
        for text in (*beyond, *([low + 1] if key.multiple > 1 else [])):
            section = Section(PARSER, name_of, FILE)
            section.values[name] = f"{text:.0f}" if isinstance(text, float) and text.is_integer() else f"{text}"
            with pytest.raises(ConfigError) as caught:
                key.read(section, name)
            assert f"{FILE}: [{name_of}] {name}: expected " in str(caught.value)
