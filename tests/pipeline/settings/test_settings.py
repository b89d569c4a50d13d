"""Settings: what stands in luigi.cfg arrives, and what is wrong is named by file, section and key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.attributes import EVALUATED
from pipeline.chain.links import Chain
from pipeline.domains import base as domains
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.methods import registry
from pipeline.settings import settings as config
from pipeline.settings.devices import cores
from pipeline.settings.downloads import load_sources
from pipeline.settings.file import find_config, profiles, read_config
from pipeline.settings.settings import Settings, load_settings
from pipeline.storage.fingerprint import digest
from tests.builders import experiments

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "luigi.cfg").read_text()


def load(path: Path | None = None, **arguments: Any) -> Settings:
    return load_settings(
        known_methods=registry.names(),
        known_domains=domains.names(),
        files_of=domains.file_keys,
        path=path or ROOT / "luigi.cfg",
        **arguments,
    )


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """luigi.cfg with one key of one section set to another text."""

    def write(section: str, key: str, value: str) -> Path:
        head, mark, tail = TEXT.partition(f"[{section}]\n")
        assert mark, section
        tail, count = re.subn(rf"^{re.escape(key)} *=.*$", f"{key} = {value}", tail, count=1, flags=re.MULTILINE)
        assert count == 1, key
        path = tmp_path / "luigi.cfg"
        path.write_text(head + mark + tail)
        return path

    return write


def test_the_file_we_ship_is_valid_in_every_profile() -> None:
    assert "smoke" in profiles(read_config(ROOT / "luigi.cfg"))
    for profile in profiles(read_config(ROOT / "luigi.cfg")):
        settings = load(profile=profile)
        assert settings.experiment.profile == profile
        assert settings.experiment.attributes == tuple(EVALUATED)
        assert set(settings.method_names) <= set(registry.names())


def test_every_setting_has_a_comment() -> None:
    """The first profile explains the keys of all; Luigi's own [retcode] is explained by its first line."""
    section, commented = "", False
    for line in TEXT.splitlines():
        if line.startswith("["):
            section, commented = line, False
        elif line.startswith("#"):
            commented = True
        elif not line:
            commented = False
        elif not section.startswith("[profile.") or section == "[profile.smoke]":
            assert commented, f"{section} {line}"
    assert section, "no section was read"


def test_full_is_the_published_protocol() -> None:
    experiment = load(profile="full").experiment
    assert (experiment.n_latents, experiment.n_faces, experiment.n_steps) == (400_000, 50, 41)
    assert experiment.edits_per_method == 16_400


def test_a_profile_overrides_a_method() -> None:
    smoke, full = (load(profile=profile).method_parameters("l2l") for profile in ("smoke", "full"))
    assert smoke["steps"] < full["steps"]
    assert smoke["width"] == full["width"]


def test_a_profile_may_have_sizes_of_its_own_for_a_domain() -> None:
    size = load(profile="smoke", domain="photoface").experiment.n_latents
    assert size < load(profile="smoke").experiment.n_latents
    for key, expected in (("n_latents", 512), ("photoface.n_latents", 768)):
        changed = {f"profile.smoke.{key}": str(expected)}
        assert load(profile="smoke", domain="photoface", overrides=changed).experiment.n_latents == expected
    with pytest.raises(ConfigError, match="n_faces"):
        load(profile="smoke", domain="photoface", overrides={"profile.smoke.photoface.n_faces": "1"})


def test_a_domain_has_methods_of_its_own_unless_others_are_asked_for(edited: Callable[[str, str, str], Path]) -> None:
    of_file = load().method_names
    own = load(domain="photoface").method_names
    assert {"noop", "random", "interfacegan_shuffled"} < set(own) < set(of_file) and len(own) <= 8
    assert load(domain="photoface", methods=["sefa"]).method_names == ("sefa",)
    assert load(domain="photoface", overrides={"latentbench.methods": "sefa, noop"}).method_names == ("sefa", "noop")
    assert load(domain="photoface", overrides={"domain.photoface.methods": ""}).method_names == of_file
    with pytest.raises(UnknownNameError, match="Did you mean 'sefa'"):
        load(edited("domain.photoface", "methods", "sefaa"), domain="photoface")


def test_what_is_asked_for_beats_profile_and_method_section() -> None:
    settings = load(profile="smoke", overrides={"method.l2l.steps": "7", "profile.smoke.n_faces": "4"})
    assert settings.method_parameters("l2l")["steps"] == 7
    assert settings.experiment.n_faces == 4
    assert load(profile="smoke", overrides={"profile.smoke.l2l.steps": "8"}).method_parameters("l2l")["steps"] == 8


def test_every_method_takes_a_layer_mask() -> None:
    masked = load(profile="smoke", methods=["sefa"], overrides={"method.sefa.layer_mask": "styleflow"})
    assert masked.method_parameters("sefa")["layer_mask"] == "styleflow"
    with pytest.raises(UnknownNameError, match="layer_mask"):
        load(profile="smoke", overrides={"method.sefa.layer_msk": "styleflow"})


def test_machine_settings_change_no_digest() -> None:
    settings = load(profile="smoke")
    other = load(profile="smoke", overrides={"machine.shard_size": "256", "machine.executor": "inline"})
    assert other.machine != settings.machine
    assert digest(other.as_json()) == digest(settings.as_json())
    seeded = load(profile="smoke", overrides={"protocol.seed": "1"})
    assert digest(seeded.as_json()) != digest(settings.as_json())


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("protocol", "seed", "-1"),
        ("protocol", "seed", "many"),
        ("protocol", "seed", ""),
        ("protocol", "found_share", "1.5"),
        ("protocol", "found_share", "nan"),
        ("protocol", "displacement_cap", "inf"),
        ("protocol", "detection_threshold", "often"),
        ("protocol", "bootstrap_samples", "1"),
        ("protocol", "first_face_id", "1000"),
        ("protocol", "attributes", ""),
        ("profile.smoke", "n_latents", "0"),
        ("profile.smoke", "n_faces", "1"),
        ("profile.smoke", "n_steps", "2.5"),
        ("domain.synthface", "truncation_psi", "0"),
        ("machine", "executor", "threads"),
        ("machine", "shard_size", "1000"),
        ("machine", "workers", "-2"),
        ("machine", "threads", "0"),
        ("machine", "lock_wait", "soon"),
    ],
)
def test_a_wrong_value_is_named(edited: Callable[[str, str, str], Path], section: str, key: str, value: str) -> None:
    path = edited(section, key, value)
    with pytest.raises(ConfigError) as caught:
        load(path, profile="smoke")
    told = str(caught.value)
    assert str(path) in told and f"[{section}] {key}" in told and "expected" in told
    assert repr(value) in told


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text(TEXT.replace("\nseed = 2022\n", "\n"))
    with pytest.raises(ConfigError, match=r"\[protocol\] seed: expected a whole number .* found nothing"):
        load(path)


def test_more_workers_than_cores_are_refused(edited: Callable[[str, str, str], Path]) -> None:
    with pytest.raises(ConfigError, match="workers x threads"):
        load(edited("machine", "workers", str(cores() + 1)))


@pytest.mark.parametrize(
    ("arguments", "close"),
    [
        ({"domain": "syntface"}, "synthface"),
        ({"profile": "smok"}, "smoke"),
        ({"methods": ["interfacegam"]}, "interfacegan"),
        ({"attributes": ["beerd"]}, "beard"),
        ({"overrides": {"protocl.seed": "1"}}, "protocol"),
        ({"overrides": {"protocol.sed": "1"}}, "seed"),
    ],
)
def test_an_unknown_name_gets_the_closest_known_one(arguments: dict[str, Any], close: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load(**arguments)
    assert f"Did you mean {close!r}?" in str(caught.value)


def test_an_attribute_s_other_name_is_answered_with_the_one_it_is_evaluated_under() -> None:
    with pytest.raises(ConfigError, match="'smile' is evaluated under the name 'expression'"):
        load(attributes=["smile"])


def test_a_file_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text("[protocol\nseed = 1\n")
    with pytest.raises(ConfigError, match=str(path)):
        read_config(path)
    path.write_text("[protocol]\nseed = 1\nseed = 2\n")
    with pytest.raises(ConfigError, match="already exists"):
        read_config(path)
    with pytest.raises(ConfigError, match="Cannot read"):
        read_config(tmp_path / "none.cfg")


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUIGI_CONFIG_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_config().resolve() in ((ROOT / "luigi.cfg").resolve(), (ROOT / "pipeline/luigi.cfg").resolve())
    (tmp_path / "luigi.cfg").write_text(TEXT)
    assert find_config().resolve() == (tmp_path / "luigi.cfg").resolve()
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(ROOT / "luigi.cfg"))
    assert find_config() == ROOT / "luigi.cfg"
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(tmp_path / "other.cfg"))
    with pytest.raises(ConfigError, match="other.cfg"):
        find_config()


def test_method_values_have_the_type_they_look_like() -> None:
    assert [config.parse_value(text) for text in ("true", "False", "3", "0.5", "1e-3", "", "age, beard")] == [
        True,
        False,
        3,
        0.5,
        0.001,
        "",
        "age, beard",
    ]


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("first_face_id", "0", "first_face_id"),
        ("first_naming_id", "1792", "n_latents and first_naming_id"),
        ("first_naming_id", "2000000000", "first_reference_id"),
        ("first_reference_id", "1000000000", "first_reference_id"),
    ],
)
def test_no_latent_may_be_in_two_sets(key: str, value: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(profile="smoke", overrides={f"protocol.{key}": value})
    load(profile="smoke", overrides={"protocol.first_naming_id": "2048"})


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("protocol.matched_levels", "1, 0.5", "expected rising numbers"),
        ("protocol.matched_levels", "", "expected rising numbers"),
        ("protocol.matched_levels", "0.5, one", "expected rising numbers"),
        ("protocol.matched_tolerance", "0.5", "less than the smallest of matched_levels, 0.5"),
        ("profile.smoke.n_spread", "1025", "no more than the n_reference of 1,024 images"),
    ],
)
def test_a_matched_change_that_makes_no_sense_is_refused(key: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(profile="smoke", overrides={key: value})
    experiment = load(profile="smoke", overrides={"protocol.matched_levels": "0.25, 3"}).experiment
    assert experiment.matched_levels == (0.25, 3.0)
    assert experiment.matched_per_method == 8 * experiment.n_matched_faces * 2 * 2


def test_matched_faces_beyond_the_grid_s_may_not_run_into_another_set() -> None:
    with pytest.raises(ConfigError, match="first_face_id"):
        load(profile="full", overrides={"protocol.first_reference_id": "1000000256"})


def test_a_domain_s_files_are_those_that_the_file_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.cfg"
    path.write_text("[domain.ffhq]\ntruncation_psi = 1\ngenerator = mine.safetensors\n")
    assert load_sources("ffhq", path).files == (("generator", "mine.safetensors"),)
    assert load_sources("other", path).files == ()
    path.write_text("[domain.ffhq]\ngenerator =\n")
    with pytest.raises(ConfigError, match=r"mine.cfg: \[domain.ffhq\] generator: expected the name of a file"):
        load_sources("ffhq", path)


def test_a_gpu_has_one_worker_however_many_cores_there_are() -> None:
    assert experiments.machine(workers=8).workers_of_our_own == 8
    assert experiments.machine(workers=8, device="cuda").workers_of_our_own == 1
    assert experiments.machine(workers=8, device="cuda", devices=("cuda:0", "cuda:1")).workers_of_our_own == 2


@pytest.mark.parametrize("groups", ["99999999999999999999", "14-", ""])
def test_a_layer_group_beyond_the_generator_is_told_before_anything_is_computed(groups: str) -> None:
    settings = load(profile="smoke", methods=["sefa"], overrides={"method.sefa.groups": groups})
    with pytest.raises(ConfigError, match=r"^command line and .*luigi.cfg: \[method.sefa\] groups: expected a group"):
        Chain(settings)
    Chain(load(profile="smoke", methods=["sefa"], overrides={"method.sefa.groups": "3, 14-"}))


def test_an_attribute_that_is_named_twice_counts_once() -> None:
    """By `--attribute`, whose names come as `attributes`, and in luigi.cfg's own list."""
    once = load(profile="smoke", attributes=["age", "yaw"])
    twice = load(profile="smoke", attributes=["age", "yaw", "age"])
    listed = load(profile="smoke", overrides={"protocol.attributes": "age, yaw, yaw, age"})
    assert twice.experiment == listed.experiment == once.experiment
    assert once.experiment.attributes == ("age", "yaw") and once.as_json() == listed.as_json()
