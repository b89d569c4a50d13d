"""luigi.cfg as a file: what cannot be read is told by line, what nobody reads is refused with the closest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.domains import base as domains
from pipeline.errors import LatentbenchError
from pipeline.methods import registry
from pipeline.settings.file import find_config, luigi_settings, read_config
from pipeline.settings.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "luigi.cfg").read_text()


def load(path: Path, **changes: str) -> Settings:
    return load_settings(
        known_methods=registry.names(),
        known_domains=domains.names(),
        files_of=domains.file_keys,
        profile="smoke",
        overrides={key.replace("__", "."): text for key, text in changes.items()},
        path=path,
    )


def refused(path: Path, **changes: str) -> str:
    with pytest.raises(LatentbenchError) as caught:
        load(path, **changes)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert load(path).experiment == load(ROOT / "luigi.cfg").experiment


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (TEXT.encode("utf-16"), "found UTF-16"),
        (b"[core]\n# gr\xfc\xdfe\nlog_level = INFO\n", "line 2: expected UTF-8, found the byte 0xfc"),
        (b"[core]\n\0\1\2", "line 2: expected a text, found a zero byte"),
        (b"[core]\na = 1\n\na = 2\n", "line 4: [core] a already exists"),
        (b"[core]\n[retcode]\n[core]\n", "line 3: the section [core] already exists"),
        (b"log_level = INFO\n[core]\n", "line 1: expected a [SECTION] before the first key, found 'log_level = INFO'"),
        (b"[core]\nlog_level\n", "line 2: expected [SECTION], KEY = VALUE or a comment, found"),
        (b"[core\nlog_level = INFO\n", "line 1: expected a [SECTION]"),
        (b"[DEFAULT]\nseed = 1\n", "[DEFAULT] would be a part of every section"),
    ],
)
def test_what_cannot_be_read_is_told_by_line(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_bytes(data)
    with pytest.raises(LatentbenchError) as caught:
        read_config(path)
    assert str(path) in str(caught.value) and told in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[profile.smoke]\n", "[profile.smoke]\nn_facse = 99\n", "'n_facse'. Did you mean 'n_faces'?"),
        ("[profile.full]\n", "[profile.full]\nn_facse = 99\n", "'n_facse'. Did you mean 'n_faces'?"),
        ("[profile.full]\n", "[profile.full]\nl2k.steps = 99\n", "'l2k.steps'. Did you mean"),
        ("\nprecision = full", "\nprecison = half", "'precison'. Did you mean 'precision'?"),
        ("check_disk = true", "chek_disk = true", "'chek_disk'. Did you mean 'check_disk'?"),
        ("outputs = outputs", "outputs = outputs\nprofle = smoke", "'profle'. Did you mean 'profile'?"),
        ("retries = 5", "retrys = 5", "'retrys'. Did you mean 'retries'?"),
        ("\nseed = 2022", "\nsead = 2022", "seed: expected a whole number"),
        ("\nseed = 2022", "\nsead = 2022", "found nothing (but 'sead', which is no setting)"),
        ("\n[protocol]", "\n[protocl]", "Did you mean [protocol]?"),
        ("[method.sefa]", "[method.seffa]", "Did you mean [method.sefa]? Install the package"),
        ("[domain.synthface]", "[domain.syntface]", "Did you mean [domain.synthface]?"),
        ("[latentbench]", "[latentbnech]", "expected a section [latentbench], found [latentbnech]"),
        ("\n[core]", "\n[batch_notifier]\nerror_lines = 20\n[core]", "[batch_notifier] is no section"),
        ("\n[core]", "\n[Evaluation]\nprofile = full\n[core]", "[Evaluation] is no section"),
        ("\n[core]", "\n[profile.../../escape]\n[core]", "[profile.../../escape]: expected a name of"),
        ("\n[core]\n", "\n[core]\nlogging_conf_file = evil.conf\n", "No key of [core]"),
        ("outputs = outputs", "outputs =", "[latentbench] outputs: expected a folder, found ''"),
        ("autoload_range = true", "autoload_range = maybe", "[core] autoload_range: expected true or false"),
        ("task_failed = 30", "task_failed = x", "[retcode] task_failed: expected a whole number from 0 to 255"),
        ("log_level = WARNING", "log_level = LOUD", "[core] log_level: expected NOTSET or DEBUG"),
        ("cache_task_completion", "task_process_context", "No key of [worker]"),
    ],
)
def test_what_nobody_reads_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "luigi.cfg"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    assert told in refused(path) and str(path) in refused(path)


def test_the_file_of_another_program_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text("[core]\nlog_level = INFO\n[TheirTask]\nday = 1\n")
    told = refused(path)
    assert "settings file of another program" in told and "$LUIGI_CONFIG_PATH" in told and str(path) in told


def test_a_missing_section_is_told(tmp_path: Path) -> None:
    path = tmp_path / "luigi.cfg"
    head, _, tail = TEXT.partition("\n[protocol]")
    path.write_text(head + tail[tail.index("\n[profile.smoke]") :])
    arguments = {"known_methods": registry.names(), "known_domains": domains.names(), "path": path}
    with pytest.raises(LatentbenchError, match=r"has no section \[protocol\]"):
        load_settings(attributes=["age"], **arguments)  # type: ignore[arg-type]


def test_what_the_command_line_gave_is_not_blamed_on_the_file() -> None:
    told = refused(ROOT / "luigi.cfg", machine__executor="dusk")
    assert told == "command line: [machine] executor: expected dask or inline, found 'dusk'."
    assert refused(ROOT / "luigi.cfg", machine__workers="4096").startswith("command line: [machine] workers x threads")


@pytest.mark.parametrize("key", ["core.log_level", "retcode.task_failed", "worker.cache_task_completion"])
def test_a_run_changes_no_setting_of_luigi(key: str) -> None:
    assert "can be changed for a run" in refused(ROOT / "luigi.cfg", **{key.replace(".", "__"): ""})


def test_luigi_gets_its_keys_and_no_others() -> None:
    path = ROOT / "luigi.cfg"
    found = luigi_settings(read_config(path), path)
    assert found["core"] == {"log_level": "WARNING", "autoload_range": "true"}
    assert found["retcode"]["task_failed"] == "30"
    assert set(found) == {"core", "worker", "RangeDaily", "retcode", "email", "smtp"}
    assert "password" not in found["smtp"], "no secret in a file that people hand on"


def test_a_missing_file_says_what_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(tmp_path / "none.cfg"))
    with pytest.raises(LatentbenchError, match=r"\$LUIGI_CONFIG_PATH names .*none\.cfg.* unset it"):
        find_config()
